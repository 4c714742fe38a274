"""Objectives of deterministic networks, for tests of the searches."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from counteract.attacks import Objective
from counteract.attacks.losses import Loss
from counteract.datasets import Dataset

EPS = 12 / 255
N = 16


def undefended(net: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda images, keys: net(images)


def objective(net: nn.Module, data: Dataset, loss: Loss) -> Objective:
    return Objective([undefended(net)], loss, data.labels[:N], torch.arange(N))


def check_that_the_best_is_kept(search: Callable[..., tuple[Tensor, Tensor]], nearest: float, **options: float) -> None:
    """One pixel, whose loss peaks inside the ball and falls off beyond: the last point is not the best."""

    def peak(images: Tensor, keys: Tensor) -> Tensor:
        return -((images.flatten(1) - 0.53) ** 2)

    images = torch.full((1, 1, 1, 1), 0.5)
    given = Objective([peak], lambda scores, labels: scores[:, 0], torch.zeros(1).long(), torch.zeros(1).long())
    points, values = search(given, images, images, eps=0.1, steps=7, **options)
    assert abs(float(points) - nearest) < 0.015
    torch.testing.assert_close(given.value(points, 0), values)
