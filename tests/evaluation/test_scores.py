"""Scores against figures computed by hand or by SciPy."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import binomtest

from counteract.evaluation.scores import (
    Accuracy,
    Cell,
    make_differences,
    make_row,
    make_worst_cases,
    paired_difference,
    wilson,
)


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (7, 100), (500, 1000), (1, 1)])
def test_wilson_is_scipys(successes: int, n: int) -> None:
    expected = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert wilson(successes, n) == pytest.approx((expected.low, expected.high))


def test_accuracy_over_seeds() -> None:
    correct = [torch.tensor(v, dtype=torch.bool) for v in ([1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0])]
    found = Accuracy.of(correct)
    assert (found.seeds, found.n, found.accuracy, found.std) == (3, 4, 50.0, 25.0)
    assert found.ci95 == pytest.approx([100 * bound for bound in wilson(2, 4)])
    assert Accuracy.of(correct[:1]).std == 0


def cell(attack: str, defence: str, *seeds: list[int]) -> Cell:
    made = Cell("net", attack, defence, 1, 1)
    for seed, correct in enumerate(seeds):
        made.add(seed, torch.tensor(correct, dtype=torch.bool), 0.25, 0.125)
    return made


def test_the_worst_case_is_example_by_example() -> None:
    clean, attacked = cell("none", "d", [1, 1, 0, 0]), cell("pgd10", "d", [1, 0, 1, 0])
    (worst,) = make_worst_cases("data", [clean, attacked])
    assert (worst.accuracy, worst.attacks, worst.defence) == (25.0, ("none", "pgd10"), "d")
    row = make_row("data", attacked)
    assert (row.accuracy, row.seconds, row.relative_time, row.attack) == (50.0, 0.25, 2.0, "pgd10")


def test_the_worst_case_of_a_half_finished_run_counts_what_all_attacks_have() -> None:
    clean, attacked = cell("none", "d", [1, 1], [1, 1]), cell("pgd10", "d", [1, 0])
    (worst,) = make_worst_cases("data", [clean, attacked, cell("none", "e", [1, 1]), cell("pgd10", "e")])
    assert (worst.accuracy, worst.seeds) == (50.0, 1)


def test_a_paired_difference_by_hand() -> None:
    """Ten examples, three gained and one lost: Bonett and Price add one to each of the two counts, and two to n."""
    better, worse = torch.tensor([1] * 3 + [0] + [1] * 6).bool(), torch.tensor([0] * 3 + [1] + [1] * 6).bool()
    points, (low, high) = paired_difference([better], [worse])
    assert points == pytest.approx(20)
    half = 1.959964 * ((4 / 12 + 2 / 12 - (2 / 12) ** 2) / 12) ** 0.5
    assert (low, high) == pytest.approx((100 * (2 / 12 - half), 100 * (2 / 12 + half)), abs=1e-4)
    assert paired_difference([better, better], [worse, worse]) == (points, (low, high))


def test_what_is_compared_with_what() -> None:
    names = ["none", "counteraction", "crop-pad", "counteraction+crop-pad", "rotation+crop-pad"]
    found = make_differences([cell("pgd10", name, [1, 0]) for name in names])
    assert [(d.defence, d.baseline) for d in found] == [
        ("counteraction", "none"), ("crop-pad", "none"),
        ("counteraction+crop-pad", "crop-pad"), ("counteraction+crop-pad", "none"),
        ("rotation+crop-pad", "none"),
    ]  # fmt: skip
    assert make_differences([cell("pgd10", "none", [1, 0]), cell("pgd10", "crop-pad")]) == []
