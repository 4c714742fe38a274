"""Scores against figures computed by hand or by SciPy."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import binomtest

from counteract.evaluation.scores import Accuracy, Cell, make_row, make_worst_cases, wilson


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


def test_the_worst_case_is_example_by_example() -> None:
    clean, attacked = Cell("none", "d", 1, 1), Cell("pgd10", "d", 1, 1)
    clean.add(torch.tensor([True, True, False, False]), 0.5)
    attacked.add(torch.tensor([True, False, True, False]), 0.25)
    (worst,) = make_worst_cases("data", "net", [clean, attacked])
    assert (worst.accuracy, worst.attacks, worst.defence) == (25.0, ("none", "pgd10"), "d")
    row = make_row("data", "net", attacked)
    assert (row.accuracy, row.seconds, row.attack) == (50.0, 0.25, "pgd10")
