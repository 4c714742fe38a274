"""Hedge and the anti-adversary against their definitions, written out with torchattacks' steps or plainly."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from networks import TinyNet
from torch import Tensor, nn

from counteract import AntiAdversary, Hedge


def test_hedge_ascends_the_sum_of_all_cross_entropies_from_a_random_start(net: nn.Module, x: Tensor) -> None:
    net, x = net.double(), x.double()
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    image = x + 0.05 * noise
    for _ in range(4):
        image.requires_grad_()
        loss = sum(F.cross_entropy(net(image), torch.full((len(x),), label)) for label in range(10))
        assert isinstance(loss, Tensor)
        (gradient,) = torch.autograd.grad(loss, image)
        image = image.detach() + 0.02 * gradient.sign()
        image = torch.min(torch.max(image, x - 0.05), x + 0.05).clamp(0, 1)
    found = Hedge(net, eps=0.05, eps_step=0.02, steps=4).apply(x, noise)
    torch.testing.assert_close(found, image, rtol=0, atol=1e-12)


def test_hedges_start_is_uniform_over_the_ball(net: nn.Module, x: Tensor) -> None:
    drawn = Hedge(net).draw(torch.arange(50), x[:1].expand(50, -1, -1, -1), None)
    assert drawn.shape == (50, 3, 32, 32)
    assert -1 <= drawn.min() < -0.999 < 0.999 < drawn.max() <= 1
    assert abs(float(drawn.mean())) < 0.01
    assert float(drawn.var()) == pytest.approx(1 / 3, abs=0.01)


def test_the_anti_adversary_descends_towards_what_was_predicted_for_the_input(net: nn.Module, x: Tensor) -> None:
    net, x = net.double(), x.double()
    predicted = net(x).argmax(1)
    change = torch.zeros_like(x)
    for _ in range(3):
        change.requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(net(x + change), predicted), change)
        change = change.detach() - 0.15 * gradient.sign()
    found, _ = AntiAdversary(net, steps=3).forward(x)
    torch.testing.assert_close(found, x + change, rtol=0, atol=1e-12)
    assert found.min() < 0  # neither projected nor clamped
    clamped, _ = AntiAdversary(net, steps=3, clip_values=(0, 1)).forward(x)
    torch.testing.assert_close(clamped, found.clamp(0, 1))


def test_the_anti_adversary_makes_predictions_surer(digits_net: nn.Module, x: Tensor) -> None:
    defence = AntiAdversary(digits_net, eps_step=0.01)
    before, after = (digits_net(images).softmax(1).max(1) for images in (x, defence.forward(x)[0]))
    assert torch.equal(before.indices, after.indices)
    assert (after.values > before.values).all()


@pytest.mark.parametrize("make", [Hedge, AntiAdversary])
def test_the_gradient_back_is_the_identity_and_the_network_is_left_as_it_was(
    make: Any, net: TinyNet, x: Tensor
) -> None:
    net.train()
    statistics = net.norm.running_mean
    assert statistics is not None
    before = statistics.clone()
    received = x.clone().requires_grad_()
    weights = torch.rand_like(x)
    (make(net, eps_step=0.01).forward(received)[0] * weights).sum().backward()
    assert received.grad is not None
    assert torch.equal(received.grad, weights)
    assert net.training
    assert torch.equal(statistics, before)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("make", [Hedge, AntiAdversary])
@pytest.mark.parametrize("options", [{"steps": 0}, {"eps_step": -1}, {"model": 3}])
def test_wrong_arguments(make: Any, net: nn.Module, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        make(**({"model": net} | options))
