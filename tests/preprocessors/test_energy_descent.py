"""Energy descent against its definition, written out plainly, and its gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import Dark
from torch import Tensor, nn

from counteract import EnergyDescent
from counteract.defences import Ingredients, build_defence


def by_hand(net: nn.Module, image: Tensor, eps: float, size: float, steps: int, temperature: float) -> Tensor:
    """One image's new place, step by step in NumPy but for the network's gradient."""
    start = image.numpy()
    place = start.copy()
    for _ in range(steps):
        points = torch.tensor(place)[None].requires_grad_()
        energy = -temperature * torch.log(torch.exp(net(points) / temperature).sum())
        (gradient,) = torch.autograd.grad(energy, points)
        down = gradient[0].numpy()
        place = np.clip(place - size * down / np.sqrt((down**2).sum()), 0, 1)
        length = np.sqrt(((place - start) ** 2).sum())
        if length > eps:
            place = start + (place - start) * eps / length
    return torch.tensor(place)


@pytest.mark.parametrize(("eps", "size", "temperature"), [(5.0, 0.7, 1.0), (0.9, 0.7, 2.0), (30.0, 9.0, 1.0)])
def test_it_descends_the_energy_within_the_ball_and_the_range(
    eps: float, size: float, temperature: float, net: nn.Module, x: Tensor
) -> None:
    net, x = net.double(), x.double()
    defence = EnergyDescent(net, eps=eps, eps_step=size, steps=3, temperature=temperature)
    found, _ = defence.forward(x)
    expected = torch.stack([by_hand(net, image, eps, size, 3, temperature) for image in x])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-7)
    lengths = (found - x).flatten(1).norm(dim=1)
    assert (lengths <= eps + 1e-9).all()
    assert found.min() >= 0
    assert found.max() <= 1
    assert (net(found).logsumexp(1) > net(x).logsumexp(1)).all()


def test_without_a_range_pixels_go_where_the_steps_take_them(net: nn.Module, x: Tensor) -> None:
    free = EnergyDescent(net, eps=50.0, eps_step=20.0, clip_values=None).forward(x)[0]
    assert free.min() < 0
    assert ((free - x).flatten(1).norm(dim=1) - 20).abs().max() < 1e-3


def test_gradients_back_are_those_of_the_sources_code_whose_steps_are_detached(net: nn.Module, x: Tensor) -> None:
    """Its last line clamps what it adds the detached change to, where the clamp binds nowhere."""
    defence = EnergyDescent(net, eps_step=0.5)
    points, weights = x.clone().requires_grad_(), torch.rand_like(x)
    change = (defence.forward(x)[0] - x).detach()
    (theirs,) = torch.autograd.grad((torch.clamp(points + 0.999 * change, 0, 1) * weights).sum(), points)
    (ours,) = torch.autograd.grad((defence.forward(points)[0] * weights).sum(), points)
    torch.testing.assert_close(ours, theirs)


def test_the_derivative_of_smooth_is_the_exact_one(net: nn.Module, x: Tensor) -> None:
    net, x = net.double(), x.double()
    exact = EnergyDescent(net, eps=0.9, eps_step=0.7, steps=2, clip_values=None)
    weights, direction = torch.randn(2, *x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    surrogate = exact.smooth()
    assert surrogate is not None
    points = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((surrogate.apply(points, None) * weights).sum(), points)
    ahead, behind = (exact.apply(x + sign * 1e-5 * direction, None) for sign in (1, -1))
    expected = float(((ahead - behind) * weights).sum()) / 2e-5
    assert float((gradient * direction).sum()) == pytest.approx(expected, rel=1e-4)


def test_an_image_without_an_energy_stays_where_it_is(x: Tensor) -> None:
    dark = torch.full((1, 3, 32, 32), 0.1)
    images = torch.cat([x[:2], dark])
    found, _ = EnergyDescent(Dark().eval(), eps_step=0.5).forward(images)
    assert torch.equal(found[2:], dark)
    assert not torch.equal(found[:2], x[:2])


def test_fewer_steps(net: nn.Module) -> None:
    defence = EnergyDescent(net, eps=2.0, eps_step=0.5, steps=5, temperature=0.5)
    fewer = defence.with_fewer_steps(2)
    assert (fewer.steps, fewer.eps, fewer.eps_step, fewer.temperature) == (2, 2.0, 0.5, 0.5)
    assert defence.with_fewer_steps(9).steps == 5
    assert (fewer.passes, defence.passes) == (4, 10)


def test_lengths_are_no_grey_levels(net: nn.Module, x: Tensor) -> None:
    built = build_defence("energy-descent", Ingredients(net, x, 10, lambda: None), {})  # type: ignore[arg-type,return-value]
    assert built.words == "energy-descent: eps 10 (L2), eps_step 5 (L2), steps 1, temperature 1"


@pytest.mark.parametrize("options", [{"eps": -1}, {"eps_step": "5"}, {"steps": 0}, {"temperature": 0}])
def test_wrong_arguments(net: nn.Module, options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(options))} must be"):
        EnergyDescent(net, **options)  # type: ignore[arg-type]
