"""Each red flag goes up for what it is about, and stays down for a sound network."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from reporting.synthetic import make_run
from torch import Tensor

from counteract.evaluation.checklist import Check, check_probes, check_run
from counteract.evaluation.probes import Outcome, Probes
from counteract.evaluation.record import Run

N = 100
ATTACKS = ["none", "pgd10", "bpda-apgd-ce", "square"]
SOUND = {"none": 90, "pgd10": 45, "bpda-apgd-ce": 40, "square": 60}
STATIC = {"none": 95, "pgd10": 40, "bpda-apgd-ce": 40, "square": 60}


def first(count: int) -> Tensor:
    return torch.arange(N) < count


def run(defended: dict[str, int], shift: int = 0, seeds: int = 2) -> Run:
    """Of the defended network so many of the first images are right, in every other seed `shift` more."""
    spec: dict[str, Any] = {
        "dataset": "digits", "models": ["net"], "attacks": ATTACKS, "defences": ["none", "d"], "seeds": seeds,
    }  # fmt: skip

    def correct(model: str, defence: str, attack: str, seed: int) -> Tensor:
        return first(STATIC[attack] if defence == "none" else defended[attack] + shift * (seed % 2))

    return make_run(spec, correct)


def flags(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.words for check in checks if check.flag}


def test_a_sound_defence_has_no_flag() -> None:
    checks = check_run(run(SOUND), "d")
    assert flags(checks) == {}
    assert all(check.flag is False for check in checks)
    assert flags(check_run(run(SOUND), "none")) == {}


@pytest.mark.parametrize(
    ("changes", "name", "words"),
    [
        ({"pgd10": 70}, "gain", r"a gain that is not confirmed: .* \+30.0 points .* against oblivious"),
        ({"pgd10": 100}, "clean images", r"doing nothing is a better attack than some: .* pgd10 \(\+10.0\)"),
        ({"square": 20}, "black box", r"an attack without gradients beats .* under bpda-apgd-ce, .* than under square"),
    ],
)
def test_what_the_accuracies_give_away(changes: dict[str, int], name: str, words: str) -> None:
    found = flags(check_run(run(SOUND | changes), "d"))
    assert name in found
    assert len(found) == (2 if name == "clean images" else 1)
    assert re.search(words, found[name])


def test_a_gain_that_the_worst_case_has_too_is_confirmed() -> None:
    better = dict.fromkeys(ATTACKS, 90)
    assert "gain" not in flags(check_run(run(better), "d"))


def test_seeds_that_spread_wider_than_the_gain() -> None:
    found = flags(check_run(run(SOUND | {"pgd10": 38}, shift=12), "d"))
    assert "standard deviation over seeds 8.5" in found["spread over seeds"]
    (check,) = [check for check in check_run(run(SOUND, seeds=1), "d") if check.name == "spread over seeds"]
    assert (check.flag, check.words) == (None, "it takes two seeds to tell")


def outcome(correct: int, probability: float = 0.4) -> Outcome:
    return Outcome(first(correct).double(), torch.full((N,), probability, dtype=torch.float64))


GOOD = {"base": outcome(40), "longer": outcome(40), "wider": outcome(10), "widest": outcome(0)}


def probes(zero: int = 0, **changes: Outcome) -> Probes:
    return Probes("smooth", zero=zero, **(GOOD | changes))


@pytest.mark.parametrize(
    ("found", "name", "words"),
    [
        (probes(longer=outcome(60)), "more steps", "helps the defence: twice as many steps of smooth"),
        (probes(wider=outcome(60)), "larger eps", "helps the defence: bounds twice as wide"),
        (probes(widest=outcome(30)), "large eps", "does not reach chance: .* leaves 30.0%, where chance is 10.0%"),
        (probes(longer=outcome(40, 0.3)), "convergence", "has not converged: .* by 0.100"),
        (probes(zero=2), "zero gradients", "vanish: 2 of 100 images"),
    ],
)
def test_what_other_steps_and_bounds_give_away(found: Probes, name: str, words: str) -> None:
    (said,) = flags(check_probes(found, 10)).items()
    assert said[0] == name
    assert re.search(words, said[1])


def test_sound_probes() -> None:
    assert flags(check_probes(probes(zero=1), 10)) == {}
    assert flags(check_probes(probes(widest=outcome(14)), 10)) == {}  # chance, give or take
    assert flags(check_probes(probes(longer=outcome(38, 0.39)), 10)) == {}
