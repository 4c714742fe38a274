"""Adversarial examples for training and for the validation accuracy: PGD in the max norm, its start drawn from keys."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from counteract._answers import labels_of
from counteract._network import ask, borrowed
from counteract._pgd import pgd
from counteract._random import bits


def predict(network: nn.Module, x: Tensor) -> Tensor:
    """Returns the classes that the network gives in eval mode; -1 where its answer is not finite."""
    with torch.no_grad(), borrowed(network):
        return labels_of(ask(network, x))


def random_start(x: Tensor, keys: Tensor, eps: float) -> Tensor:
    """Returns noise in [-eps, eps] for every pixel, a function of the example's key alone.

    One byte a pixel, 256 levels, is finer than images are and eight times cheaper than a draw of 64 bits.
    """
    pixels = x[0].numel()
    levels = bits(keys, -(-pixels // 8)).view(torch.uint8)[:, :pixels]
    return ((levels.float() / 127.5 - 1) * eps).view_as(x)


def attacked(network: nn.Module, x: Tensor, y: Tensor, keys: Tensor, *, eps: float, step: float, steps: int) -> Tensor:
    """Returns the last iterates of PGD away from the labels `y`, with the network in eval mode.

    Args:
        network: Maps images to logits.
        x: Images in [0, 1].
        y: The labels that the attack leads away from.
        keys: One per image, of which its start is drawn.
        eps: The largest change of a pixel.
        step: The size of a step.
        steps: The number of steps.
    """
    start = (x + random_start(x, keys, eps)).clamp_(0, 1)
    return pgd(network, x, y, start, eps=eps, step=step, steps=[steps])[steps]
