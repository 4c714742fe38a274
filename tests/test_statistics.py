"""Intervals against figures computed by hand or by SciPy; worst cases of coins and of defences that draw nothing."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import binomtest, norm
from torch import Tensor

from counteract._statistics import Z95, among, paired_difference, wilson, worst_over_draws


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


def test_the_best_of_many_that_gain_nothing_gains_nothing() -> None:
    """By its own interval one of eleven gains something in a quarter of all tables."""
    generator = torch.Generator().manual_seed(0)
    alone, together = 0, 0
    for _ in range(200):
        undefended = torch.rand(200, generator=generator) < 0.5
        moved = torch.rand(11, 200, generator=generator) < 0.2
        drawn = torch.rand(11, 200, generator=generator) < 0.5
        bounds = max(
            paired_difference([d.where(m, undefended)], [undefended]) for d, m in zip(drawn, moved, strict=True)
        )[1]
        alone += bounds[0] > 0
        together += among(11, bounds)[0] > 0
    assert alone > 0.1 * 200
    assert together <= 0.06 * 200
    assert among(1, (-1.0, 3.0)) == pytest.approx((-1.0, 3.0))
    assert among(5, (-1.0, 3.0)) == pytest.approx((1 - 2 * norm.ppf(0.995) / Z95, 1 + 2 * norm.ppf(0.995) / Z95))


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


@pytest.mark.parametrize(("draws", "n"), [(1, 100), (3, 200), (5, 24), (5, 100)])
def test_the_strongest_of_many_attacks_that_do_nothing_takes_nothing_either(draws: int, n: int) -> None:
    """The least of the attacks' own accuracies lies points below one half, and is luck as well."""
    generator = torch.Generator().manual_seed(0)
    left, least = 0.0, 0.0
    for _ in range(50):
        drawn = list(torch.rand(20, draws, n, generator=generator) < 0.5)
        left += float(worst_over_draws(drawn).mean()) / 50
        least += min(float(each.double().mean()) for each in drawn) / 50
    assert least < 0.47
    assert left == pytest.approx(0.5, abs=0.02)


def test_one_draw_is_judged_by_the_attack_that_is_strongest_on_other_examples() -> None:
    weak, strong = torch.ones(1, 6, dtype=torch.bool), torch.tensor([[0, 1, 0, 1, 1, 1]]).bool()
    assert worst_over_draws([weak, strong]).tolist() == [1, 1, 1, 1, 1, 1]  # of the odd places it breaks none
    strong[0, 1] = False
    assert worst_over_draws([weak, strong]).tolist() == [0, 0, 0, 1, 1, 1]
    assert worst_over_draws([weak[:, :1], strong[:, :1]]).tolist() == [0]
