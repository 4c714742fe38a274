"""Intervals against figures computed by hand or by SciPy."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import binomtest, norm

from counteract._statistics import Z95, paired_difference, wilson


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (7, 100), (500, 1000), (1, 1)])
def test_wilson_is_scipys(successes: int, n: int) -> None:
    expected = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert wilson(successes, n) == pytest.approx((expected.low, expected.high))
    assert pytest.approx(norm.ppf(0.975)) == Z95


def test_a_paired_difference_by_hand() -> None:
    """Ten examples, three gained and one lost: Bonett and Price add one to each of the two counts, and two to n."""
    better, worse = torch.tensor([1] * 3 + [0] + [1] * 6).bool(), torch.tensor([0] * 3 + [1] + [1] * 6).bool()
    points, (low, high) = paired_difference([better], [worse])
    assert points == pytest.approx(20)
    half = 1.959964 * ((4 / 12 + 2 / 12 - (2 / 12) ** 2) / 12) ** 0.5
    assert (low, high) == pytest.approx((100 * (2 / 12 - half), 100 * (2 / 12 + half)), abs=1e-4)
    assert paired_difference([better, better], [worse, worse]) == (points, (low, high))


def test_a_paired_difference_of_shares() -> None:
    better, worse = torch.tensor([1, 0.75, 0.5, 0]).double(), torch.tensor([0.5, 0.75, 1, 0]).double()
    points, (low, high) = paired_difference([better], [worse])
    assert points == 0
    assert (low, high) == pytest.approx((-high, high))
    half = 1.959964 * ((1.5 / 6 + 1.5 / 6) / 6) ** 0.5
    assert high == pytest.approx(100 * half, abs=1e-4)
