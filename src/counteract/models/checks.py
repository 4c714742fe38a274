"""Checks of a stranger's network with one forward pass, before anything is measured on it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from counteract._answers import logits_in
from counteract._errors import UserError
from counteract._network import ask, borrowed, check_model, device_of, is_training
from counteract._softmax import log_probabilities
from counteract._strangers import strangers_code

_TOLERANCE = 1e-2
"""The largest distance from 1 of a sum of probabilities: the round-off of half precision, with room."""


class LogProbabilities(nn.Module):
    """Makes a network that returns probabilities return their logarithms, for which softmax and cross-entropy hold.

    They are exact where probabilities underflow, if a softmax is the last thing that the network does.

    Args:
        model: Maps images to probabilities, shape (N, classes).
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.training = is_training(model)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the logarithms of the probabilities."""
        return log_probabilities(lambda: logits_in(self.model(x), len(x)))[0]


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
    check_logits(outputs_of(network, name, images), name, num_classes)


def check_logits(outputs: Tensor, name: str, num_classes: int | None, *, probabilities: bool = False) -> None:
    """Raises UserError for outputs of another number of classes, and for probabilities unless these are welcome."""
    if num_classes is not None and outputs.shape[1] != num_classes:
        raise UserError(f"model {name} has {outputs.shape[1]} outputs for {num_classes} classes")
    if not probabilities and are_probabilities(outputs):
        raise UserError(
            f"model {name} returns probabilities, not logits: leave out its last softmax, or return their logarithm"
            " (counteract.models.LogProbabilities)"
        )


def outputs_of(network: object, name: str, images: Tensor, keys: Tensor | None = None) -> Tensor:
    """The network's outputs for these images, of which some are finite: shape (N, classes).

    Args:
        network: The network; it is left as it was found.
        name: Its name in the error.
        images: A few images in [0, 1], shape (N, C, H, W).
        keys: One key an image, for a network that takes them.

    Raises:
        UserError: (a ValueError) it is no network, does not take such images, fails, or returns something else.
    """
    check_model(network, f"model {name}")
    assert isinstance(network, nn.Module)
    shape = tuple(images.shape[1:])
    with strangers_code(f"model {name}"):
        try:
            with borrowed(network), torch.no_grad():
                outputs = ask(network, images.to(device_of(network)), keys, name=f"model {name}")
        except UserError:
            raise
        except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
            raise UserError(f"model {name} does not take images of shape {shape}: {_cause(error)}") from error
    if len(outputs) and not outputs.isfinite().all(1).any():
        raise UserError(f"model {name} returns NaN or infinite values for images of shape {shape} in [0, 1]")
    return outputs


def _cause(error: Exception) -> str:
    """An error's message on one line, and the way around what this package itself does to a network."""
    said = one_line(error)
    if "does not require grad" not in said:
        return said
    return (
        "it needs gradients of its own, where gradients are off and parameters frozen: let it work in "
        "torch.enable_grad(), and call requires_grad_() on what it adapts"
    )


def are_probabilities(outputs: Tensor) -> bool:
    """Returns True where all rows that are finite are probabilities: not negative, and adding up to 1."""
    finite = outputs[outputs.isfinite().all(1)].double()
    return bool(len(finite) and (finite >= 0).all() and ((finite.sum(1) - 1).abs() < _TOLERANCE).all())


def one_line(error: Exception) -> str:
    """An error's message on one line, cut if it is long (torch lists every weight); its type's name if it has none."""
    return textwrap.shorten(str(error), 150, placeholder=" ...") or type(error).__name__
