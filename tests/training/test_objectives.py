"""The objectives against cases computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from counteract._random import fold, key
from counteract.training.objectives import Mix, blend, draw_mix, iat, mixup, standard

X = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
Y = torch.tensor([0, 1, 0])


def identity(x: Tensor) -> Tensor:
    """A network whose logits are its input."""
    return x


def mix(rows: list[int], partners: list[int], weights: list[float]) -> Mix:
    return Mix(torch.tensor(rows), torch.tensor(partners), torch.tensor(weights))


def cross_entropy(logits: list[float], label: int) -> float:
    return math.log(sum(math.exp(value) for value in logits)) - logits[label]


def test_standard_is_the_mean_cross_entropy() -> None:
    expected = (cross_entropy([0, 0], 0) + cross_entropy([1, 0], 1) + cross_entropy([0, 2], 0)) / 3
    assert float(standard(identity, X, Y)) == pytest.approx(expected)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_weights_are_of_the_beta_distribution(alpha: float) -> None:
    keys = fold(key(0), torch.arange(20_000))
    drawn = draw_mix(keys, alpha)
    assert drawn.weights.dtype == torch.float32
    assert float(drawn.weights.mean()) == pytest.approx(0.5, abs=0.01)
    assert float(drawn.weights.var()) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.03)
    assert torch.equal(drawn.partners, draw_mix(keys).partners)
    assert torch.equal(drawn.weights, draw_mix(keys).weights) == (alpha == 1)


def test_blend_weighs_rows_and_partners() -> None:
    blended = blend(X, mix([0, 1, 2], [1, 2, 0], [0.25, 0.5, 1.0]))
    assert blended.tolist() == [[0.75, 0.0], [0.5, 1.0], [0.0, 2.0]]


def test_blend_takes_images() -> None:
    images = torch.arange(2.0).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    blended = blend(images, mix([0, 1], [1, 0], [0.25, 0.25]))
    assert blended[:, 0, 0, 0].tolist() == [0.75, 0.25]


def test_mixup_by_hand() -> None:
    loss = mixup(identity, X, Y, mix([0, 1, 2], [1, 2, 0], [0.25, 0.5, 1.0]))
    first = 0.25 * cross_entropy([0.75, 0], 0) + 0.75 * cross_entropy([0.75, 0], 1)
    second = 0.5 * cross_entropy([0.5, 1], 1) + 0.5 * cross_entropy([0.5, 1], 0)
    third = cross_entropy([0, 2], 0)
    assert float(loss) == pytest.approx((first + second + third) / 3)


def test_iat_by_hand() -> None:
    """Each half has its own partners and weights, and counts one half."""
    clean, adversarial = mix([0, 1, 2], [1, 2, 0], [0.25, 0.5, 1.0]), mix([0, 1, 2], [2, 0, 1], [0.5, 1.0, 0.0])
    loss = iat(identity, X, X + 1, Y, clean, adversarial)
    of_clean = float(mixup(identity, X, Y, clean))
    first = 0.5 * cross_entropy([1, 2], 0) + 0.5 * cross_entropy([1, 2], 0)  # rows 0 and 2 are both of class 0
    second = cross_entropy([2, 1], 1)
    third = cross_entropy([2, 1], 1)  # weight 0: all of it is row 1
    assert float(loss) == pytest.approx(0.5 * of_clean + 0.5 * (first + second + third) / 3)


def test_iat_runs_one_forward_of_both_halves() -> None:
    sizes = []

    def network(x: Tensor) -> Tensor:
        sizes.append(len(x))
        return x

    draws = mix([0, 1, 2], [1, 2, 0], [0.5, 0.5, 0.5])
    iat(network, X, X, Y, draws, draws)
    assert sizes == [6]


def test_iat_halves_share_batch_statistics() -> None:
    norm = nn.BatchNorm1d(2, momentum=1.0)
    draws = mix([0, 1, 2], [0, 1, 2], [1.0, 1.0, 1.0])
    iat(norm, X, X + 4, Y, draws, draws)
    assert norm.running_mean is not None
    assert norm.running_mean.tolist() == pytest.approx(torch.cat([X, X + 4]).mean(0).tolist())


def test_shares_add_up_to_the_whole() -> None:
    draws = mix([0, 1, 2], [1, 2, 0], [0.25, 0.5, 1.0])
    parts = [mixup(identity, X, Y, draws.share(slice(at, at + 1))) for at in range(3)]
    assert float(sum(parts, torch.zeros(()))) / 3 == pytest.approx(float(mixup(identity, X, Y, draws)))


def test_draws_are_a_permutation_and_uniform_weights() -> None:
    draws = draw_mix(fold(key(1), torch.arange(4000)))
    assert draws.partners.sort().values.equal(torch.arange(4000))
    assert (draws.partners == draws.rows).sum() < 10
    # Beta(1, 1): mean 1/2, variance 1/12, and each example has its own.
    assert float(draws.weights.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(draws.weights.var()) == pytest.approx(1 / 12, abs=0.005)
    assert len(set(draws.weights.tolist())) > 3990


def test_weights_do_not_follow_partners() -> None:
    draws = draw_mix(fold(key(2), torch.arange(4000)))
    ranks = draws.partners.argsort().float()
    assert abs(float(torch.corrcoef(torch.stack([ranks, draws.weights]))[0, 1])) < 0.05
