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
    make_summaries,
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


def shares(attack: str, defence: str, *seeds: list[float]) -> Cell:
    """A cell that was judged by several draws."""
    made = cell(attack, defence)
    for seed, correct in enumerate(seeds):
        made.add(seed, torch.tensor(correct, dtype=torch.float64), 0.25, 0.125)
    return made


def test_several_draws_count_by_their_mean_and_by_their_worst() -> None:
    attacked = shares("square", "d", [1, 0.5, 0.5, 0])
    row = make_row("data", attacked)
    assert (row.accuracy, row.any_wrong) == (50, 75)
    (worst,) = make_worst_cases("data", [attacked, shares("none", "d", [0.5, 0.5, 1, 1])])
    assert (worst.accuracy, worst.any_wrong) == (100 * 1.5 / 4, 100)
    assert make_row("data", cell("none", "d", [1, 0], [1, 1])).any_wrong == 25


def test_a_paired_difference_of_shares() -> None:
    better, worse = torch.tensor([1, 0.75, 0.5, 0]).double(), torch.tensor([0.5, 0.75, 1, 0]).double()
    points, (low, high) = paired_difference([better], [worse])
    assert points == 0
    assert (low, high) == pytest.approx((-high, high))
    half = 1.959964 * ((1.5 / 6 + 1.5 / 6) / 6) ** 0.5
    assert high == pytest.approx(100 * half, abs=1e-4)


def test_a_summary_tells_oblivious_from_adaptive() -> None:
    static = [
        cell("none", "none", [1, 1, 1, 1]),
        cell("pgd10", "none", [0, 0, 1, 1]),
        cell("square", "none", [1, 1, 1, 0]),
    ]
    given = [
        cell("none", "d", [1, 1, 1, 0]),
        cell("pgd10", "d", [1, 1, 1, 1]),
        cell("noise", "d", [0, 1, 1, 1]),
        cell("square", "d", [1, 1, 0, 1]),
        cell("bpda-apgd-ce", "d", [0, 1, 0, 1]),
    ]
    bare, found = make_summaries("data", [*static, *given])
    assert found.clean is not None
    assert found.oblivious is not None
    assert found.adaptive is not None
    assert found.worst is not None
    assert found.static is not None
    assert (found.clean.accuracy, found.oblivious.accuracy) == (75, 50)
    assert (found.adaptive.accuracy, found.strongest) == (50, "bpda-apgd-ce")
    assert (found.worst.accuracy, found.static.accuracy, found.gain) == (25, 25, 0)
    survived = torch.tensor([0, 1, 0, 0]).bool(), torch.tensor([0, 0, 1, 0]).bool()
    assert found.gain_ci95 == paired_difference([survived[0]], [survived[1]])[1]
    assert (bare.gain, bare.worst) == (None, bare.static)


def test_a_summary_of_what_was_not_measured() -> None:
    (found,) = make_summaries("data", [cell("none", "d", [1, 0]), cell("square", "d")])
    assert (found.adaptive, found.strongest, found.worst, found.static, found.gain) == (None,) * 5
    assert found.oblivious is not None
