"""The anti-adversary against its definition, written out plainly."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from counteract import AntiAdversary


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


def test_a_step_beyond_the_range_is_refused(net: nn.Module) -> None:
    with pytest.raises(ValueError, match="eps_step must be a number from 0 to 1, the width"):
        AntiAdversary(net, eps_step=8)
    assert AntiAdversary(net, eps_step=8, clip_values=None).clip_values is None
