"""The attacks break what they must be able to break, on real networks: else breaking nothing would mean nothing.

Each test would fail with an attack that does nothing, because every defence here is accurate on clean images.
"""

from __future__ import annotations

from typing import Any

from counteract.evaluation import Run, evaluate_spec, make_spec, spec_for_dataset
from counteract.evaluation.scores import Summary


def run(defence: str, attacks: list[str], **changes: Any) -> Run:
    data = spec_for_dataset("digits") | {
        "defences": ["undefended", defence],
        "attacks": attacks,
        "limit": 32,
        "preset": "quick",
    }
    return evaluate_spec(make_spec(data | changes, "test"))


def accuracy(found: Run, defence: str, attack: str) -> float:
    (row,) = [row for row in found.rows if (row.defence, row.attack) == (defence, attack)]
    return row.accuracy


def summary(found: Run) -> Summary:
    return found.summaries[-1]


def test_transfer_undoes_the_apparent_gain_of_the_anti_adversary() -> None:
    """Its steps are so large that gradients through it mislead; from a random start they gain nothing."""
    found = run("anti-adversary", ["clean", "square", "apgd-ce"])
    assert accuracy(found, "anti-adversary", "clean") > 70
    assert accuracy(found, "anti-adversary", "square") > 50
    assert accuracy(found, "anti-adversary", "apgd-ce") <= 5


def test_bpda_and_eot_undo_the_apparent_gain_of_hedge() -> None:
    hedge = {"hedge": {"eps": "36/255", "eps_step": "12/255", "steps": 6}}
    found = run("hedge", ["clean", "pgd10-targeted", "bpda-apgd-ce"], parameters=hedge, draws=3)
    assert accuracy(found, "hedge", "clean") > 75
    assert accuracy(found, "hedge", "pgd10-targeted") > accuracy(found, "undefended", "pgd10-targeted") + 10
    assert accuracy(found, "hedge", "bpda-apgd-ce") <= 6


def test_a_plain_stochastic_transform_comes_down_to_near_the_undefended_worst_case() -> None:
    attacks = ["clean", "pgd10", "bpda-apgd-ce", "bpda-apgd-cw"]
    padding = {"resize-pad": {"executions": 10}}
    found = run("resize-pad", attacks, parameters=padding, preset={"preset": "quick", "draws": 3, "steps": 20}, draws=3)
    given = summary(found)
    assert given.oblivious is not None
    assert given.undefended is not None
    assert given.adaptive is not None
    assert given.oblivious.accuracy > given.undefended.accuracy + 20
    assert given.adaptive.accuracy <= given.undefended.accuracy + 10


def test_counteraction_falls_to_whoever_differentiates_through_it() -> None:
    found = run("counteraction", ["clean", "pgd10", "bpda-apgd-cw", "smooth"])
    given = summary(found)
    assert given.oblivious is not None
    assert given.adaptive is not None
    assert given.oblivious.accuracy > 10
    assert given.adaptive.accuracy <= 5
