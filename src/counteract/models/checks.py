"""Checks of a stranger's network with one forward pass, before anything is measured on it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from counteract._errors import UserError
from counteract._network import borrowed, check_model, device_of, dtype_of
from counteract._strangers import strangers_code

_TOLERANCE = 1e-4
"""The largest distance from 1 of a sum of probabilities: round-off of a thousand of them, with room."""


class LogProbabilities(nn.Module):
    """Makes a network that returns probabilities return their logarithms, for which softmax and cross-entropy hold.

    Args:
        model: Maps images to probabilities, shape (N, classes).
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.training = model.training

    def forward(self, x: Tensor) -> Tensor:
        """Returns the logarithms of the probabilities."""
        probabilities: Tensor = self.model(x)
        return probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny).log()


def probe(shape: Sequence[int]) -> Tensor:
    """Two different images of a shape, in [0, 1], to try a network with."""
    return torch.linspace(0, 1, 2 * math.prod(shape)).view(2, *shape)


def check_network(network: object, name: str, images: Tensor, num_classes: int | None = None) -> None:
    """Raises UserError unless a network maps these images to logits.

    Args:
        network: The network; it is left as it was found.
        name: Its name in the error.
        images: A few images in [0, 1], shape (N, C, H, W).
        num_classes: The number of logits there must be; None if that is not known.

    Raises:
        UserError: (a ValueError) it does not take such images, or returns something other than logits.
    """
    outputs = outputs_of(network, name, images)
    if num_classes is not None and outputs.shape[1] != num_classes:
        raise UserError(f"model {name} has {outputs.shape[1]} outputs for {num_classes} classes")
    if are_probabilities(outputs):
        raise UserError(
            f"model {name} returns probabilities, not logits: leave out its last softmax, or return their logarithm"
            " (counteract.models.LogProbabilities)"
        )


def outputs_of(network: object, name: str, images: Tensor) -> Tensor:
    """The network's finite outputs for these images, shape (N, classes).

    Raises:
        UserError: (a ValueError) it is no network, does not take such images, fails, or returns something else.
    """
    check_model(network, f"model {name}")
    assert isinstance(network, nn.Module)
    shape = tuple(images.shape[1:])
    with strangers_code(f"model {name}"):
        try:
            with borrowed(network), torch.no_grad():
                outputs = network(images.to(device_of(network), dtype_of(network)))
        except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
            raise UserError(f"model {name} does not take images of shape {shape}: {one_line(error)}") from error
    if not isinstance(outputs, Tensor):
        raise UserError(f"model {name} must return a tensor of logits, found {type(outputs).__name__}")
    if outputs.ndim != 2 or len(outputs) != len(images):
        raise UserError(
            f"model {name} must return logits of shape ({len(images)}, classes), found {tuple(outputs.shape)}"
        )
    if not outputs.isfinite().all():
        raise UserError(f"model {name} returns NaN or infinite values for images of shape {shape} in [0, 1]")
    return outputs


def are_probabilities(outputs: Tensor) -> bool:
    """Returns whether all rows are probabilities: not negative, and adding up to 1."""
    sums = outputs.double().sum(1)
    return bool((outputs >= 0).all() and ((sums - 1).abs() < _TOLERANCE).all())


def one_line(error: Exception) -> str:
    """An error's message on one line, cut if it is long (torch lists every weight); its type's name if it has none."""
    return textwrap.shorten(str(error), 300, placeholder=" ...") or type(error).__name__
