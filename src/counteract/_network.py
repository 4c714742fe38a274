"""Using somebody else's network without leaving a trace in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from counteract._errors import UserError
from counteract._precision import with_autocast


@contextmanager
def borrowed(model: nn.Module) -> Iterator[None]:
    """Puts a network into eval mode with frozen parameters, and back as it was found, also after an error.

    In eval mode BatchNorm's statistics neither move nor depend on the batch; frozen parameters spare the backward pass
    everything but the gradient of the input, and leave `.grad` alone.
    """
    modes = [(module, module.training) for module in model.modules() if module.training]
    thawed = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        if modes:
            model.eval()
        for parameter in thawed:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter in thawed:
            parameter.requires_grad_(True)


def ask(network: nn.Module, images: Tensor) -> Tensor:
    """The network's answers to images, of which it is given a copy: it may write into what it gets."""
    with with_autocast():
        answers: Tensor = network(images.clone())
    return answers


def dtype_of(model: nn.Module) -> torch.dtype:
    """The dtype of a network's parameters; float32 for a network without."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)


def device_of(model: nn.Module) -> torch.device | None:
    """The device of a network's first parameter or buffer; None for a network without."""
    first: Tensor | None = next(model.parameters(), next(model.buffers(), None))
    return None if first is None else first.device


def check_model(model: object, name: str = "model") -> None:
    """Raises UserError unless `model` is a torch module."""
    if not isinstance(model, nn.Module):
        raise UserError(
            f"{name} must be a torch.nn.Module that maps images to logits, found {type(model).__name__}"
            " (of an ART classifier, pass counteract.from_art(classifier))"
        )


def folded(model: nn.Module) -> nn.Module:
    """The same function in eval mode, faster, if the model offers it by a method `folded()`; else the model itself."""
    method = getattr(model, "folded", None)
    fast: nn.Module = method() if callable(method) else model
    return fast
