"""Adversarial examples for training and for the validation accuracy: L-infinity PGD whose start is drawn from keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from counteract._random import bits


@contextmanager
def eval_mode(network: nn.Module) -> Iterator[None]:
    """Runs a block with the network in eval mode, then puts it back as it was."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


def predict(network: nn.Module, x: Tensor) -> Tensor:
    """The classes that the network gives in eval mode."""
    with torch.no_grad(), eval_mode(network):
        labels: Tensor = network(x).argmax(1)
        return labels


def random_start(x: Tensor, keys: Tensor, eps: float) -> Tensor:
    """Noise in [-eps, eps] for every pixel, a function of the example's key alone.

    One byte a pixel, 256 levels, is finer than images are and eight times cheaper than a draw of 64 bits.
    """
    pixels = x[0].numel()
    levels = bits(keys, -(-pixels // 8)).view(torch.uint8)[:, :pixels]
    return ((levels.float() / 127.5 - 1) * eps).view_as(x)


def pgd(network: nn.Module, x: Tensor, y: Tensor, start: Tensor, *, eps: float, step: float, steps: int) -> Tensor:
    """Projected gradient ascent on the cross-entropy, with the network in eval mode.

    Args:
        network: Maps images to logits.
        x: Images in [0, 1].
        y: The labels that the attack leads away from.
        start: The first perturbation, within `eps`.
        eps: How far a pixel may move.
        step: How far it moves in one step.
        steps: The number of steps.

    Returns:
        The last iterate, detached, in [0, 1].
    """
    low, high = (x - eps).clamp_(0, 1), (x + eps).clamp_(0, 1)
    adversarial = (x + start).clamp_(0, 1)
    with eval_mode(network), torch.enable_grad():
        for _ in range(steps):
            adversarial.requires_grad_()
            loss = F.cross_entropy(network(adversarial).float(), y, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, adversarial)
            adversarial = torch.clamp(adversarial.detach() + step * gradient.sign(), low, high)
    return adversarial
