"""Distilled surrogates: they answer as the defence does, and their gradients lead where its answers go."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from counteract.attacks import ThreatModel
from counteract.auditing import distilled
from counteract.auditing.distilled import distil
from counteract.datasets import Dataset
from counteract.whole import WholeModule


class Labels(nn.Module):
    """A network that says no more than the class, and counts what it is asked."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.asked = net, 0

    def forward(self, x: Tensor) -> Tensor:
        self.asked += len(x)
        with torch.no_grad():
            logits = self.net(x)
        return nn.functional.one_hot(logits.argmax(1), 10).to(x.dtype)


def test_a_surrogate_is_learned_from_labels_alone(
    digits_net: nn.Module, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step along its gradient's sign changes what the defence says, where a random step does not."""
    monkeypatch.setattr(distilled, "_EPOCHS", 12)
    defended, bound = WholeModule(Labels(digits_net), probabilities=True), ThreatModel(eps=24 / 255)
    learned, others = digits.images[:320], digits.images[400:480]
    student = distil(defended, learned, bound, 10)
    said = digits_net(others).argmax(1)
    assert (student(others).argmax(1) == said).float().mean() > 0.8
    points = others.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(student(points), said), points)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(gradient.shape, generator=generator)
    led, moved = ((others + bound.eps * way.sign()).clamp(0, 1) for way in (gradient, noise))
    kept = [(digits_net(each).argmax(1) == said).float().mean() for each in (led, moved)]
    assert kept[0] < kept[1] - 0.2
    assert not any(parameter.requires_grad for parameter in student.parameters())


def test_it_is_the_same_again_and_asks_about_no_more_than_so_many_images(
    digits_net: nn.Module, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Labels(digits_net)
    defended, bound = WholeModule(asked, probabilities=True), ThreatModel(eps=0.1)
    monkeypatch.setattr(distilled, "_EPOCHS", 2)
    monkeypatch.setattr(distilled, "MOST", 24)
    before = torch.get_rng_state()
    one, other = (distil(defended, digits.images[:40], bound, 10) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert asked.asked == 2 * 24 * (2 * 2 + 1)
    for first, second in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(first, second)


def test_large_images_and_other_channels() -> None:
    student = distilled._student(1, 7)
    assert student(torch.rand(2, 1, 96, 80)).shape == (2, 7)
    assert student(torch.rand(2, 1, 8, 8)).shape == (2, 7)
