"""APGD: projected ascent with momentum that halves its own steps, on an averaged loss."""

from __future__ import annotations

import torch
from torch import Tensor

from counteract.attacks.ascent import Best
from counteract.attacks.norms import LINF, Norm
from counteract.attacks.objective import Objective

_MOMENTUM, _ENOUGH = 0.75, 0.75
"""The weight on the new step; and the share of steps that must have raised the loss for the step size to stay."""


def apgd(
    objective: Objective, images: Tensor, starts: Tensor, *, eps: float, steps: int, norm: Norm = LINF
) -> tuple[Tensor, Tensor]:
    """Ascends in steps of 2 eps at first; where the loss stops rising, goes back to the best point with half the step.

    Written anew because AutoAttack's and torchattacks' keep the first point that was misclassified once, which for a
    randomised network means little. On a deterministic one the losses reached are the same.

    Source: Croce and Hein, "Reliable evaluation of adversarial robustness ...", ICML 2020, Algorithm 1.

    Args:
        objective: The loss to be maximised.
        images: Clean images in [0, 1], shape (N, C, H, W).
        starts: The points to start from, within eps of them.
        eps: The largest change.
        steps: The number of steps; one gradient more is computed, that of the start.
        norm: The norm in which changes and steps are measured.

    Returns:
        The points of the highest loss on the way, misclassified ones if there are any and the objective is certain,
        and their losses, shape (N,).
    """
    points = previous = starts
    best = Best(points, objective.slope(points, 0))
    gradients, losses, schedule = best.gradients, [best.values], _Schedule(eps, steps, best.values)
    for step in range(1, steps + 1):
        momentum = _MOMENTUM if step > 1 else 1.0
        ahead = norm.project(points + schedule.sizes * norm.steepest(gradients), images, eps)
        moved = points + momentum * (ahead - points) + (1 - momentum) * (points - previous)
        moved = norm.project(moved, images, eps)
        previous, points = points, moved
        slope = objective.slope(points, step)
        gradients = slope.gradients
        best.update(points, slope)
        losses.append(slope.values)
        back = schedule.check(losses, best.values)
        if back is not None:
            points = torch.where(back, best.points, points)
            gradients = torch.where(back, best.gradients, gradients)
    return best.kept(certain=objective.certain)


class _Schedule:
    """Each example's step size, looked at again at checkpoints that come ever closer together."""

    def __init__(self, eps: float, steps: int, losses: Tensor) -> None:
        self.sizes = torch.full((len(losses), 1, 1, 1), 2 * eps, device=losses.device)
        self._window, self._least, self._shrink = (max(1, int(share * steps)) for share in (0.22, 0.06, 0.03))
        self._since = 0
        self._halved = torch.ones_like(losses, dtype=torch.bool)
        self._best = losses

    def check(self, losses: list[Tensor], best: Tensor) -> Tensor | None:
        """The examples that now take half the step and go back to their best point, at a checkpoint; else None.

        Args:
            losses: Those of all steps so far.
            best: The highest loss so far.
        """
        self._since += 1
        if self._since < self._window:
            return None
        recent = torch.stack(losses[-self._window - 1 :])
        rises = (recent[1:] > recent[:-1]).sum(0)
        stuck = ~self._halved & (best <= self._best)
        self._halved = (rises <= _ENOUGH * self._window) | stuck
        self._best = best
        self._since, self._window = 0, max(self._window - self._shrink, self._least)
        back = self._halved.view(-1, 1, 1, 1)
        self.sizes = torch.where(back, self.sizes / 2, self.sizes)
        return back
