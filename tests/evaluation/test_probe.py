"""Probes: answers and derivatives that tell networks apart, and the images that they are asked for."""

from __future__ import annotations

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract.evaluation.probe import probe_images, take_probe

IMAGES = probe_images((3, 32, 32))


def test_answers_and_derivatives_are_those_of_finite_differences() -> None:
    net = TinyNet().eval().double()
    images = IMAGES.double()
    found = take_probe(net, images)
    assert torch.equal(found.answers, net(images).detach().float())
    direction = torch.linspace(-1, 1, images[0].numel()).sin().view(images.shape[1:]).double()
    weights = torch.linspace(-1, 1, 10).cos().double()
    ahead, behind = ((net(images + step * direction) * weights).sum(1) for step in (1e-5, -1e-5))
    torch.testing.assert_close(found.slopes, ((ahead - behind) / 2e-5).detach().float(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("change", ["answers", "gradient"])
def test_networks_that_differ_have_probes_that_do(change: str) -> None:
    net = TinyNet().eval()

    def other(x: Tensor) -> Tensor:
        found: Tensor = net(x)
        if change == "answers":
            return found + 0.05 * found.abs().max() * torch.eye(10)[0]
        return found.detach() + 2 * (found - found.detach())

    assert take_probe(net, IMAGES).agrees(take_probe(net, IMAGES))
    assert not take_probe(other, IMAGES).agrees(take_probe(net, IMAGES))


def test_without_a_gradient_there_are_no_slopes_and_half_precision_is_not_so_exact() -> None:
    class Detached(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.detach().mean((2, 3))

    assert take_probe(Detached(), IMAGES).slopes.numel() == 0
    assert (
        take_probe(TinyNet().eval(), IMAGES, precise=False).tolerance > take_probe(TinyNet().eval(), IMAGES).tolerance
    )
