"""What the attacks must be able to break, on real networks: else that they break nothing would mean nothing.

Each test would fail with an attack that does nothing, because every defence here is accurate on clean images.
"""

from __future__ import annotations

from typing import Any

from counteract.evaluation import Run, evaluate, make_spec, preset_for
from counteract.evaluation.scores import Summary


def run(defence: str, attacks: list[str], **changes: Any) -> Run:
    data = preset_for("digits") | {"defences": ["none", defence], "attacks": attacks, "limit": 32, "budget": "quick"}
    return evaluate(make_spec(data | changes, "test"))


def accuracy(found: Run, defence: str, attack: str) -> float:
    (row,) = [row for row in found.rows if (row.defence, row.attack) == (defence, attack)]
    return row.accuracy


def summary(found: Run) -> Summary:
    return found.summaries[-1]


def test_transfer_undoes_the_apparent_gain_of_the_anti_adversary() -> None:
    """Whose steps are so large that gradients through it mislead; from a random start they gain nothing."""
    found = run("anti-adversary", ["none", "square", "apgd-ce"])
    assert accuracy(found, "anti-adversary", "none") > 70
    assert accuracy(found, "anti-adversary", "square") > 50
    assert accuracy(found, "anti-adversary", "apgd-ce") <= 5


def test_bpda_and_eot_undo_the_apparent_gain_of_hedge() -> None:
    hedge = {"hedge": {"eps": "36/255", "eps_step": "12/255", "steps": 6}}
    found = run("hedge", ["none", "pgd10-targeted", "bpda-apgd-ce"], parameters=hedge, draws=3)
    assert accuracy(found, "hedge", "none") > 75
    assert accuracy(found, "hedge", "pgd10-targeted") > accuracy(found, "none", "pgd10-targeted") + 10
    assert accuracy(found, "hedge", "bpda-apgd-ce") <= 6


def test_a_plain_stochastic_transform_comes_down_to_near_the_static_worst_case() -> None:
    attacks = ["none", "pgd10", "bpda-apgd-ce", "bpda-apgd-cw"]
    padding = {"resize-pad": {"executions": 10}}
    found = run("resize-pad", attacks, parameters=padding, budget={"preset": "quick", "draws": 3, "steps": 20}, draws=3)
    given = summary(found)
    assert given.oblivious is not None
    assert given.static is not None
    assert given.adaptive is not None
    assert given.oblivious.accuracy > given.static.accuracy + 20
    assert given.adaptive.accuracy <= given.static.accuracy + 10


def test_counteraction_falls_to_whoever_differentiates_through_it() -> None:
    found = run("counteraction", ["none", "pgd10", "bpda-apgd-cw", "smooth"])
    given = summary(found)
    assert given.oblivious is not None
    assert given.adaptive is not None
    assert given.oblivious.accuracy > 10
    assert given.adaptive.accuracy <= 5
