"""Projected gradient ascent on an averaged loss; what is kept is the point of the highest loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from counteract.attacks.norms import LINF, Norm
from counteract.attacks.objective import Objective


@dataclass
class Best:
    """The points of the highest loss so far, with their losses and gradients.

    A randomised network misclassifies nearly everything once: an attack that kept its first success would keep luck.
    """

    points: Tensor
    values: Tensor
    gradients: Tensor

    def update(self, points: Tensor, values: Tensor, gradients: Tensor) -> None:
        """Takes over the points whose loss is higher."""
        better = values > self.values
        rows = better.view(-1, *[1] * (points.ndim - 1))
        self.points = torch.where(rows, points, self.points)
        self.values = torch.where(better, values, self.values)
        self.gradients = torch.where(rows, gradients, self.gradients)


def ascend(
    objective: Objective,
    images: Tensor,
    starts: Tensor,
    *,
    eps: float,
    step_size: float,
    steps: int,
    norm: Norm = LINF,
) -> tuple[Tensor, Tensor]:
    """Steps of one size up the gradient (Madry et al. 2018), in the max norm along its sign.

    Args:
        objective: The loss to be maximised.
        images: Clean images in [0, 1], shape (N, C, H, W).
        starts: The points to start from, within eps of them.
        eps: The largest change.
        step_size: The size of a step.
        steps: The number of steps; one gradient more is computed, that of the start.
        norm: The norm in which changes and steps are measured.

    Returns:
        The points of the highest loss on the way, and these losses, shape (N,).
    """
    points = starts
    best = Best(points, *objective.gradient(points, 0))
    gradients = best.gradients
    for step in range(1, steps + 1):
        points = norm.project(points + step_size * norm.steepest(gradients), images, eps)
        values, gradients = objective.gradient(points, step)
        best.update(points, values, gradients)
    return best.points, best.values
