"""Probes: a network's answers to a few fixed images, by which its results are known again."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from counteract._seeding import seeded
from counteract.evaluation.identity import Probe
from counteract.models.survey import probe_images

__all__ = ["probe_images", "take_probe"]


def take_probe(answer: Callable[[Tensor], Tensor], images: Tensor, *, precise: bool = True) -> Probe:
    """Asks for the answers to images, and for their derivatives along a fixed direction, with generators seeded.

    Args:
        answer: Images to scores.
        images: The probe's images.
        precise: False where the answers are computed in half precision.
    """
    with seeded(0), torch.no_grad():
        answers = answer(images.clone()).float().cpu()
    return Probe(answers, _slopes(answer, images), tolerance=1e-3 if precise else 3e-2)


def _slopes(answer: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Returns one derivative an image; nothing where there is no gradient."""
    points = images.clone().requires_grad_()
    direction = torch.linspace(-1, 1, images[0].numel(), device=images.device).sin().view(images.shape[1:])
    try:
        with seeded(0), torch.enable_grad():
            scores = answer(points * 1)  # a copy that is no leaf, which a network may write into
            weights = torch.linspace(-1, 1, scores.shape[1], device=scores.device).cos().to(scores.dtype)
            (gradient,) = torch.autograd.grad((scores * weights).sum(), points)
    except RuntimeError:
        return torch.empty(0)
    return (gradient * direction).flatten(1).sum(1).float().cpu()
