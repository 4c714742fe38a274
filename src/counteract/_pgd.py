"""Projected gradient descent, which training and the attacks share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from counteract._network import ask, borrowed, with_graph
from counteract._precision import at_least_float32

Move = Callable[[Tensor, Tensor, Tensor, float, float], Tensor]
"""A step: from points, the gradients there, the clean images, the size of the step and eps to the next points."""


def by_signs(points: Tensor, gradients: Tensor, images: Tensor, step: float, eps: float) -> Tensor:
    """Returns the points a step along the gradients' signs, within eps of the images in the max norm."""
    change = (points + step * gradients.sign() - images).clamp(-eps, eps)
    return (images + change).clamp(0, 1)


def pgd(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    starts: Tensor,
    *,
    eps: float,
    step: float,
    steps: Sequence[int],
    targeted: bool = False,
    logits: Callable[[Tensor], Tensor] | None = None,
    move: Move = by_signs,
) -> dict[int, Tensor]:
    """Attacks a batch by the steps of torchattacks' PGD, from given starting points (Madry et al. 2018).

    The network is borrowed: it computes in eval mode and is left as it was found. One run of 200 steps gives the
    results of 10 and of 50 steps on its way.

    Args:
        network: Maps images in [0, 1] to logits or log-probabilities.
        images: Clean images in [0, 1], shape (N, C, H, W).
        labels: The labels to move away from, or if `targeted` towards: int64, shape (N,).
        starts: The points to start from: images in [0, 1] within eps of `images`.
        eps: The largest change.
        step: The size of a step.
        steps: The step counts after which the images are wanted.
        targeted: True to move towards the labels.
        logits: Asks the network, where it is not simply called.
        move: Makes the steps: in the max norm, unless another is given.

    Returns:
        The adversarial images by step count, detached.
    """
    answer = logits or partial(ask, network)
    direction = -1.0 if targeted else 1.0
    found = {}
    adversarial = starts.detach().clone()
    with borrowed(network), torch.enable_grad():
        for count in range(1, max(steps) + 1):
            adversarial.requires_grad_()
            # Summed, not averaged: an example's gradient must not depend on how many others are in its batch.
            scores = at_least_float32(with_graph(answer(adversarial), adversarial))
            loss = direction * F.cross_entropy(scores, labels, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, adversarial)
            adversarial = move(adversarial.detach(), gradient, images, step, eps)
            if count in steps:
                found[count] = adversarial.detach()
    return found
