"""Total variation against loops in NumPy, the minimum that it approaches, and finite differences."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from counteract import TotalVariation

Plane = npt.NDArray[np.float64]


def by_hand(image: Plane, weight: float, steps: int) -> Plane:
    """Chambolle's iteration on one channel, pixel by pixel."""
    height, width = image.shape
    p = np.zeros((2, height, width))

    def divergence(i: int, j: int) -> float:
        down = (p[0, i, j] if i < height - 1 else 0) - (p[0, i - 1, j] if i > 0 else 0)
        right = (p[1, i, j] if j < width - 1 else 0) - (p[1, i, j - 1] if j > 0 else 0)
        return float(down + right)

    for _ in range(steps):
        v = np.array([[divergence(i, j) - image[i, j] / weight for j in range(width)] for i in range(height)])
        new = np.zeros_like(p)
        for i in range(height):
            for j in range(width):
                down = v[i + 1, j] - v[i, j] if i < height - 1 else 0.0
                right = v[i, j + 1] - v[i, j] if j < width - 1 else 0.0
                length = (down**2 + right**2) ** 0.5
                new[:, i, j] = (p[:, i, j] + 0.25 * np.array([down, right])) / (1 + 0.25 * length)
        p = new
    return np.array([[image[i, j] - weight * divergence(i, j) for j in range(width)] for i in range(height)])


def objective(u: Tensor, x: Tensor, weight: float) -> Tensor:
    """The function that the denoised image minimises."""
    down = torch.cat([u.diff(dim=2), torch.zeros_like(u[:, :, :1])], 2)
    right = torch.cat([u.diff(dim=3), torch.zeros_like(u[..., :1])], 3)
    return ((u - x) ** 2).sum() / 2 + weight * (down**2 + right**2).sqrt().sum()


def images(height: int = 7, width: int = 6) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_it_is_chambolles_iteration() -> None:
    x = images()
    found = TotalVariation(weight=0.3, steps=7).apply(x, None)
    expected = [[by_hand(channel.numpy(), 0.3, 7) for channel in image] for image in x]
    torch.testing.assert_close(found, torch.tensor(np.array(expected)).clamp(0, 1), rtol=0, atol=1e-12)


def test_it_approaches_the_minimum() -> None:
    x = images()
    found = TotalVariation(weight=0.1, steps=3000).apply(x, None)
    least = objective(found, x, 0.1)
    generator = torch.Generator().manual_seed(1)
    for size in (1e-1, 1e-2, 1e-3):
        for _ in range(20):
            step = size * torch.randn(x.shape, generator=generator, dtype=torch.float64)
            assert objective(found + step, x, 0.1) > least
    twenty = objective(TotalVariation(weight=0.1).apply(x, None), x, 0.1)
    assert least < twenty < least + 0.02 * (objective(x, x, 0.1) - least)


def test_an_edge_keeps_its_place_and_loses_height() -> None:
    """The known solution for a step of height one across n columns on each side: each side moves by weight / n."""
    x = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    x[..., 4:] = 1
    found = TotalVariation(weight=0.4, steps=4000).apply(x, None)
    torch.testing.assert_close(found, x + 0.1 * (1 - 2 * x), rtol=0, atol=1e-3)


def test_gradients_are_exact_and_finite_where_nothing_varies(x: Tensor) -> None:
    defence = TotalVariation(weight=0.1, steps=5)
    points = images(4, 4).mul(0.8).add(0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda each: defence.apply(each, None), points, fast_mode=True)
    flat = torch.full((1, 3, 8, 8), 0.5, requires_grad=True)
    (gradient,) = torch.autograd.grad(defence.apply(flat, None).sum(), flat)
    assert gradient.isfinite().all()
    assert defence.smooth() is None


def test_more_weight_leaves_less_variation(x: Tensor) -> None:
    def variation(image: Tensor) -> float:
        return float(image.diff(dim=2).abs().sum() + image.diff(dim=3).abs().sum())

    found = [variation(TotalVariation(weight=weight).forward(x)[0]) for weight in (1e-6, 0.02, 0.1)]
    assert variation(x) == pytest.approx(found[0], rel=1e-3)
    assert found[0] > found[1] > found[2]


def test_fewer_steps() -> None:
    fewer = TotalVariation(weight=0.2, steps=50).with_fewer_steps(3)
    assert (fewer.steps, fewer.weight) == (3, 0.2)
    assert fewer.with_fewer_steps(9).steps == 3


@pytest.mark.parametrize("options", [{"weight": 0}, {"weight": -1}, {"steps": 0}])
def test_wrong_arguments(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(options))} must be"):
        TotalVariation(**options)  # type: ignore[arg-type]
