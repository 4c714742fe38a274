"""Hedge against its definition, written out plainly."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from counteract import Hedge


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
