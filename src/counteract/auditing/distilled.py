"""Surrogates of a defence that has no gradient of use: a network inside of it, or one distilled from its answers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from counteract import _random
from counteract._seeding import seeded
from counteract.attacks import Objective, ThreatModel, draw_starts
from counteract.attacks.ascent import ascend
from counteract.attacks.losses import cross_entropy
from counteract.attacks.views import keyless
from counteract.whole import Defended

MOST = 1024
"""The images that answers are asked for, in every epoch anew."""

_EPOCHS, _BATCH, _RATE = 20, 64, 2e-3
"""Passes over them, images in a step, and the highest learning rate."""

_WIDTH, _SIDE = 24, 64
"""The channels of the first layer, and the side that larger images are scaled down to."""

_STEPS = 2
"""Steps of the student's own examples."""


def distil(defended: Defended, images: Tensor, bound: ThreatModel, classes: int) -> nn.Module:
    """Trains a small network on a defence's answers, to images and where an attack would go: its gradient is of use.

    In every other epoch these are random points within the bound, else examples of the network's own, to which the
    defence says what they really are.

    Source: Papernot et al., "Practical black-box attacks against machine learning", 2017.

    Args:
        defended: The network with the defence; it is asked for nothing but answers.
        images: The images, in [0, 1], shape (N, C, H, W).
        bound: The bound of attacks.
        classes: The number of classes.

    Returns:
        The network, in eval mode: images in [0, 1] to logits.
    """
    images = images[:MOST]
    keys = torch.arange(len(images), device=images.device)
    with seeded(0), torch.enable_grad():
        student = _student(images.shape[1], classes).to(images)
        descent = torch.optim.Adam(student.parameters(), _RATE)
        steps = _EPOCHS * -(-len(images) // _BATCH)
        cycle = torch.optim.lr_scheduler.OneCycleLR(descent, _RATE, total_steps=steps)
        for epoch in range(_EPOCHS):
            for rows in torch.randperm(len(images)).to(images.device).split(_BATCH):
                drawn = _random.fold(keys[rows], epoch)
                points = torch.cat([images[rows], _moved(student, defended, images[rows], drawn, bound, epoch)])
                answers = _answers(defended, points, drawn.repeat(2))
                loss = -(answers * student(points).log_softmax(1)).sum(1).mean()
                descent.zero_grad()
                loss.backward()
                descent.step()
                cycle.step()
    return student.eval().requires_grad_(False)


def _moved(
    student: nn.Module, defended: Defended, images: Tensor, keys: Tensor, bound: ThreatModel, epoch: int
) -> Tensor:
    """Points around images: random ones, or examples of the student's own."""
    starts = draw_starts(keys, images, bound.eps, bound.metric)
    if epoch % 2 == 0:
        return starts
    said = _answers(defended, images, keys).argmax(1)
    objective = Objective([keyless(student)], cross_entropy, said, keys)
    found, _ = ascend(
        objective, images, starts, eps=bound.eps, step_size=bound.eps / _STEPS, steps=_STEPS, norm=bound.metric
    )
    return found


def _answers(defended: Defended, images: Tensor, keys: Tensor) -> Tensor:
    """A defence's probabilities; nothing of an answer that is not finite."""
    with torch.no_grad():
        answers: Tensor = defended(images, keys)
    return answers.exp().nan_to_num(0).to(images.dtype)


def _student(channels: int, classes: int) -> nn.Module:
    """A small network without batch statistics, and with derivatives everywhere."""
    layers: list[nn.Module] = [_Smaller()]
    for index, stride in enumerate((2, 1, 2, 1)):
        width = _WIDTH * 2 ** ((index + 1) // 2)
        layers += [nn.Conv2d(channels, width, 3, stride, 1), nn.GroupNorm(_WIDTH // 3, width), nn.SiLU()]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * channels, classes))


class _Smaller(nn.Module):
    """Images of a side that a small network can take in."""

    def forward(self, x: Tensor) -> Tensor:
        """The images, scaled down where they are larger."""
        return nn.functional.adaptive_avg_pool2d(x, _SIDE) if max(x.shape[-2:]) > _SIDE else x
