"""Scores against figures computed by hand."""

from __future__ import annotations

import pytest
import torch
from evaluation.shares import NAN, cell

from counteract._statistics import paired_difference, wilson
from counteract.evaluation.cells import Cell
from counteract.evaluation.scores import (
    Accuracy,
    compare,
    make_differences,
    make_row,
    make_summaries,
    make_worst_cases,
    paired,
    relative_time,
    worst_case,
)


def test_accuracy_over_seeds() -> None:
    correct = [torch.tensor(v, dtype=torch.bool) for v in ([1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0])]
    found = Accuracy.of(correct)
    assert (found.seeds, found.n, found.accuracy, found.std) == (3, 4, 50.0, 25.0)
    assert found.ci95 == pytest.approx([100 * bound for bound in wilson(2, 4)])
    assert Accuracy.of(correct[:1]).std == 0


def test_a_row() -> None:
    row = make_row("data", cell("pgd10", "d", [1, 0, 1, 0]))
    assert row is not None
    assert (row.accuracy, row.seconds, row.relative_time, row.attack, row.forward_passes) == (50, 0.25, 2.0, "pgd10", 1)


def test_a_row_of_an_interrupted_run_is_about_the_examples_that_each_seed_has() -> None:
    row = make_row("data", cell("pgd10", "d", [1, 0, 1, NAN], [0, 0, NAN, NAN], [NAN] * 4))
    assert row is not None
    assert (row.seeds, row.n, row.accuracy, row.any_wrong) == (2, 2, 25, 75)
    assert row.ci95 == pytest.approx([100 * bound for bound in wilson(0.5, 2)])


def test_the_undefended_network_costs_what_it_costs() -> None:
    """Also where its first prediction was slow, and the measured pace is that of a warm machine."""
    undefended, defended = cell("pgd10", "undefended", [1.0]), cell("pgd10", "rotation", [1.0])
    for each in (undefended, defended):
        each.seconds, each.undefended_seconds = 12.1, 1.0
    assert relative_time([undefended]) == 1.0
    assert relative_time([defended, defended]) == pytest.approx(12.1)
    assert relative_time([Cell("net", "pgd10", "undefended", 1, 1)]) is None


def test_no_statistics_without_an_example() -> None:
    apart = cell("pgd10", "d", [1, NAN], [NAN, 1])
    whole = cell("clean", "d", [1, 1], [1, 1])
    assert make_row("data", apart) is None
    assert make_row("data", cell("pgd10", "d")) is None
    assert make_row("data", cell("pgd10", "d", [NAN, NAN])) is None
    assert worst_case("data", [whole, apart]) is None
    assert worst_case("data", [whole, cell("pgd10", "d")]) is None
    assert worst_case("data", []) is None
    assert compare(cell("pgd10", "d", [1, NAN]), cell("pgd10", "e", [NAN, 1])) is None
    assert compare(cell("pgd10", "d", [1, 1]), cell("pgd10", "e")) is None


def test_the_worst_case_is_example_by_example() -> None:
    clean, attacked = cell("clean", "d", [1, 1, 0, 0]), cell("pgd10", "d", [1, 0, 1, 0])
    (worst,) = make_worst_cases("data", [clean, attacked])
    assert (worst.accuracy, worst.attacks, worst.defence) == (25.0, ("clean", "pgd10"), "d")


def test_the_worst_case_of_a_half_finished_run_counts_what_all_attacks_have() -> None:
    clean, attacked = cell("clean", "d", [1, 1], [1, 1]), cell("pgd10", "d", [1, 0])
    (worst,) = make_worst_cases("data", [clean, attacked, cell("clean", "e", [1, 1]), cell("pgd10", "e")])
    assert (worst.accuracy, worst.seeds, worst.n) == (50.0, 1, 2)
    parts = [cell("clean", "d", [1, 1, NAN, 0, 1]), cell("pgd10", "d", [NAN, 1, 1, 1, 0])]
    (worst,) = make_worst_cases("data", parts)
    assert worst.n == 3
    assert worst.accuracy == pytest.approx(100 / 3)


def test_what_is_compared_with_what() -> None:
    names = ["undefended", "counteraction", "crop-pad", "counteraction+crop-pad", "rotation+crop-pad"]
    found = make_differences([cell("pgd10", name, [1, 0]) for name in names])
    assert [(d.defence, d.baseline) for d in found] == [
        ("counteraction", "undefended"), ("crop-pad", "undefended"),
        ("counteraction+crop-pad", "crop-pad"), ("counteraction+crop-pad", "undefended"),
        ("rotation+crop-pad", "undefended"),
    ]  # fmt: skip
    assert make_differences([cell("pgd10", "undefended", [1, 0]), cell("pgd10", "crop-pad")]) == []


def test_a_difference_is_about_the_examples_and_seeds_that_both_have() -> None:
    better = cell("pgd10", "d", [1, 1, 0, NAN], [1, 1, 1, 1])
    worse = cell("pgd10", "e", [0, NAN, 0, 1])
    found = compare(better, worse)
    assert found is not None
    assert (found.seeds, found.n, found.points, found.baseline) == (1, 2, 50.0, "e")
    assert found.ci95 == paired_difference([torch.tensor([1.0, 0.0])], [torch.tensor([0.0, 0.0])])[1]
    assert paired({}, {}) is None


def test_several_draws_count_by_their_mean_and_by_their_worst() -> None:
    attacked = cell("square", "d", [1, 0.5, 0.5, 0])
    row = make_row("data", attacked)
    assert row is not None
    assert (row.accuracy, row.any_wrong) == (50, 75)
    (worst,) = make_worst_cases("data", [attacked, cell("clean", "d", [0.5, 0.5, 1, 1])])
    assert (worst.accuracy, worst.any_wrong) == (100 * 1.5 / 4, 100)
    two = make_row("data", cell("clean", "d", [1, 0], [1, 1]))
    assert two is not None
    assert two.any_wrong == 25


def test_a_summary_tells_oblivious_from_adaptive() -> None:
    undefended = [
        cell("clean", "undefended", [1, 1, 1, 1]),
        cell("pgd10", "undefended", [0, 0, 1, 1]),
        cell("square", "undefended", [1, 1, 1, 0]),
    ]
    given = [
        cell("clean", "d", [1, 1, 1, 0]),
        cell("pgd10", "d", [1, 1, 1, 1]),
        cell("noise", "d", [0, 1, 1, 1]),
        cell("square", "d", [1, 1, 0, 1]),
        cell("bpda-apgd-ce", "d", [0, 1, 0, 1]),
    ]
    bare, found = make_summaries("data", [*undefended, *given])
    assert found.clean is not None
    assert found.oblivious is not None
    assert found.adaptive is not None
    assert found.worst is not None
    assert found.undefended is not None
    assert (found.clean.accuracy, found.oblivious.accuracy) == (75, 50)
    assert (found.adaptive.accuracy, found.strongest) == (50, "bpda-apgd-ce")
    assert (found.worst.accuracy, found.undefended.accuracy, found.gain, found.gain_n) == (25, 25, 0, 4)
    left = torch.tensor([0, 1, 0, 0]).bool(), torch.tensor([0, 0, 1, 0]).bool()
    assert found.gain_ci95 == paired_difference([left[0]], [left[1]])[1]
    assert (bare.gain, bare.gain_n, bare.worst) == (None, None, bare.undefended)


def test_a_gain_is_about_the_examples_that_both_worst_cases_have() -> None:
    undefended = [cell("clean", "undefended", [1, 1, NAN, 1]), cell("pgd10", "undefended", [0, 0, 0, 1])]
    given = [cell("clean", "d", [1, 1, 1, 1]), cell("pgd10", "d", [NAN, 1, 1, 1])]
    _, found = make_summaries("data", [*undefended, *given])
    assert (found.gain, found.gain_n) == (50.0, 2)
    assert found.worst is not None
    assert found.undefended is not None
    assert (found.worst.n, found.undefended.n) == (3, 3)


def test_a_summary_of_what_was_not_measured() -> None:
    (found,) = make_summaries("data", [cell("clean", "d", [1, 0]), cell("square", "d")])
    assert (found.adaptive, found.strongest, found.worst, found.undefended, found.gain) == (None,) * 5
    assert found.oblivious is not None
