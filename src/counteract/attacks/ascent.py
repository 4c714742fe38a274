"""Projected gradient ascent on an averaged loss, and the choice of the points on the way that are kept."""

from __future__ import annotations

import torch
from torch import Tensor

from counteract.attacks.norms import LINF, Norm
from counteract.attacks.objective import Objective, Slope


class Best:
    """The points of the highest loss so far, with their losses and gradients; and those that are misclassified.

    Args:
        points: The first points, shape (N, C, H, W).
        slope: The objective's there.
    """

    def __init__(self, points: Tensor, slope: Slope) -> None:
        self.points, self.values, self.gradients = points, slope.values, slope.gradients
        self._wrong, self._wrong_values = points, _of_wrong(slope)

    def update(self, points: Tensor, slope: Slope) -> None:
        """Takes over the points whose loss is higher."""
        better = slope.values > self.values
        self.points = torch.where(_rows(better), points, self.points)
        self.values = torch.where(better, slope.values, self.values)
        self.gradients = torch.where(_rows(better), slope.gradients, self.gradients)
        values = _of_wrong(slope)
        better = values > self._wrong_values
        self._wrong = torch.where(_rows(better), points, self._wrong)
        self._wrong_values = torch.where(better, values, self._wrong_values)

    def kept(self, *, certain: bool) -> tuple[Tensor, Tensor]:
        """Returns the points to be kept, and their losses: the misclassified ones of the highest loss if there are any.

        Not so where answers are not certain: a randomised network misclassifies nearly everything once, and an attack
        that kept its successes would keep luck.
        """
        if not certain:
            return self.points, self.values
        found = self._wrong_values > -torch.inf
        points = torch.where(_rows(found), self._wrong, self.points)
        return points, torch.where(found, self._wrong_values, self.values)


def _of_wrong(slope: Slope) -> Tensor:
    """The losses where the answer is wrong, elsewhere less than any."""
    return slope.values.masked_fill(slope.leads <= 0, -torch.inf)


def _rows(chosen: Tensor) -> Tensor:
    """A choice of images, shape (N,), as their pixels need it: shape (N, 1, 1, 1)."""
    return chosen.view(-1, 1, 1, 1)


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
        The points of the highest loss on the way, misclassified ones if there are any and the objective is certain,
        and their losses, shape (N,).
    """
    points = starts
    best = Best(points, objective.slope(points, 0))
    gradients = best.gradients
    for step in range(1, steps + 1):
        points = norm.project(points + step_size * norm.steepest(gradients), images, eps)
        slope = objective.slope(points, step)
        gradients = slope.gradients
        best.update(points, slope)
    return best.kept(certain=objective.certain)
