"""Norms: sizes, nearest changes, steepest steps and noise that fills the ball."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from counteract._pgd import by_signs
from counteract.attacks.norms import CLIMBED, LINF, NORMS, Name, climbs_in

ORDERS: dict[Name, float] = {"Linf": math.inf, "L2": 2.0, "L1": 1.0}


def changes(count: int = 6, seed: int = 0) -> Tensor:
    """Changes of very different sizes, one of them none."""
    found = torch.randn(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return found * torch.linspace(0, 2, count).view(-1, 1, 1, 1)


@pytest.mark.parametrize("name", NORMS)
def test_sizes_are_torchs(name: Name) -> None:
    expected = torch.linalg.vector_norm(changes().flatten(1), ORDERS[name], dim=1)
    torch.testing.assert_close(NORMS[name].size(changes()), expected)


@pytest.mark.parametrize("name", NORMS)
def test_what_is_within_stays_and_what_is_not_goes_to_the_nearest_point(name: Name) -> None:
    norm, given = NORMS[name], changes()
    eps = float(norm.size(given)[2]) * 1.01
    found = norm.shrink(given, eps)
    assert torch.equal(found[:3], given[:3])
    torch.testing.assert_close(norm.size(found[3:]), torch.full((3,), eps))
    away = (found - given).flatten(1).norm(dim=1)
    for seed in range(1, 40):  # no other point of the ball is nearer in the Euclidean distance, as a projection's is
        other = found + 0.05 * changes(seed=seed)
        other = other * (eps / norm.size(other)).clamp(max=1).view(-1, 1, 1, 1)
        assert ((other - given).flatten(1).norm(dim=1) >= away - 1e-5).all()


@pytest.mark.parametrize("name", NORMS)
def test_projected_points_are_in_the_ball_and_in_the_range(name: Name, x: Tensor) -> None:
    norm = NORMS[name]
    eps = 0.05 * norm.largest(x.shape[1:])
    far = x + torch.linspace(-1, 1, x.numel()).view_as(x)
    near = norm.project(far, x, eps)
    assert (norm.size(near - x) <= eps * (1 + 1e-5)).all()
    assert near.min() >= 0
    assert near.max() <= 1
    half = x + (near - x) / 2
    torch.testing.assert_close(norm.project(half, x, eps), half, rtol=0, atol=1e-7)


def test_points_in_the_ball_of_the_max_norm_keep_their_bits(x: Tensor) -> None:
    far = x + torch.linspace(-1, 1, x.numel()).view_as(x)
    inside = (far - x).abs() < 0.05
    assert torch.equal(LINF.project(far, x, 0.05)[inside], far[inside])


@pytest.mark.parametrize("name", CLIMBED)
def test_the_steepest_change_is_of_size_one_and_gains_most(name: Name) -> None:
    norm, gradients = NORMS[name], changes()[1:]
    steps = norm.steepest(gradients)
    torch.testing.assert_close(norm.size(steps), torch.ones(5))
    gain = (steps * gradients).flatten(1).sum(1)
    others = torch.randn(200, *gradients.shape, generator=torch.Generator().manual_seed(1))
    for other in others:
        other = other / norm.size(other).view(-1, 1, 1, 1)
        assert ((other * gradients).flatten(1).sum(1) <= gain).all()


@pytest.mark.parametrize("scale", [1e-12, 1e-30])
def test_tiny_gradients_point_somewhere_and_none_point_nowhere(scale: float) -> None:
    gradients = torch.stack([changes()[5] * scale, torch.zeros(3, 4, 4), torch.full((3, 4, 4), torch.nan)])
    gradients[2, 0, 0, 0] = 3.0
    steps = NORMS["L2"].steepest(gradients)
    torch.testing.assert_close(NORMS["L2"].size(steps), torch.tensor([1.0, 0.0, 1.0]))
    torch.testing.assert_close(steps[0], NORMS["L2"].steepest(changes()[5:])[0])


def test_a_step_in_the_max_norm_is_pgds(x: Tensor) -> None:
    gradients = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(LINF.move(x, gradients, x, 0.1, 0.05), by_signs(x, gradients, x, 0.1, 0.05))


def test_no_search_climbs_in_l1() -> None:
    with pytest.raises(ValueError, match=r"^norm L1: it knows the norms Linf and L2 only$"):
        NORMS["L1"].steepest(changes())
    assert climbs_in(["Linf"]) == "it knows the norms Linf only"


@pytest.mark.parametrize("name", NORMS)
def test_noise_is_uniform_in_the_ball(name: Name) -> None:
    """The share within a fraction r of the radius is r to the power of the dimension, and no direction is favoured."""
    norm, count, keys = NORMS[name], 3, torch.arange(20_000)
    found = norm.noise(keys, count)
    sizes = norm.size(found)
    assert sizes.max() <= 1
    for radius in (0.4, 0.7, 0.9):
        assert float((sizes <= radius).double().mean()) == pytest.approx(radius**count, abs=0.012)
    assert found.mean(0).abs().max() < 0.02
    products = found.t() @ found / len(found)
    assert (products - products.diagonal().mean() * torch.eye(count)).abs().max() < 0.01
    assert torch.equal(norm.noise(keys[7:9], count), found[7:9])


@pytest.mark.parametrize("name", NORMS)
def test_no_change_is_larger_than_from_black_to_white(name: Name) -> None:
    assert NORMS[name].largest((3, 4, 4)) == pytest.approx(float(NORMS[name].size(torch.ones(1, 3, 4, 4))))


@pytest.mark.parametrize(
    ("name", "size", "text"),
    [("Linf", 8 / 255, "8/255"), ("Linf", 0.031, "7.905/255"), ("L2", 0.5, "0.5"), ("L1", 12.0, "12")],
)
def test_sizes_in_words(name: Name, size: float, text: str) -> None:
    assert NORMS[name].spell(size) == text
