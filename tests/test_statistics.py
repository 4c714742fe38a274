"""Intervals against figures computed by hand or by SciPy; worst cases of coins and of defences that draw nothing."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import binomtest, norm
from torch import Tensor

from counteract._statistics import Z95, paired_difference, wilson, worst_over_draws


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


def coins(attacks: int, draws: int, n: int, right: float = 0.5) -> list[Tensor]:
    """Draws that are right by chance, whatever the attack is."""
    drawn = torch.rand(attacks, draws, n, generator=torch.Generator().manual_seed(0)) < right
    return list(drawn)


@pytest.mark.parametrize("draws", [1, 2, 5, 20])
def test_many_attacks_that_do_nothing_take_nothing_from_a_coin(draws: int) -> None:
    drawn = coins(20, draws, 1000)
    least = torch.stack([each.double().mean(0) for each in drawn]).amin(0)
    assert float(least.mean()) < 0.3
    assert float(worst_over_draws(drawn).mean()) == pytest.approx(0.5, abs=0.05)


def test_the_worst_attack_of_each_example_is_found_among_coins() -> None:
    drawn = coins(6, 5, 1000, right=0.9)
    drawn[2][:, :500] = False
    drawn[4][:, 500:] = False
    assert float(worst_over_draws(drawn).mean()) < 0.01
    drawn[4][:, 500:] = coins(1, 5, 500)[0]
    assert 0.4 < float(worst_over_draws(drawn)[500:].mean()) < 0.65


def test_what_draws_nothing_is_judged_by_the_least() -> None:
    once = coins(6, 1, 50, right=0.8)
    found = worst_over_draws([each.expand(3, -1) for each in once])
    assert torch.equal(found, torch.cat(once).double().amin(0))
    assert torch.equal(worst_over_draws(once[:1]), once[0][0].double())


def test_a_worst_case_is_no_more_than_the_strongest_attack_leaves() -> None:
    for draws in (1, 2, 3):
        drawn = coins(8, draws, 12)
        assert float(worst_over_draws(drawn).mean()) <= min(float(each.double().mean()) for each in drawn)
