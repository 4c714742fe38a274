"""Copies of a network with other layers in the place of its activations, or behind its convolutions."""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import nn


def with_layers(network: nn.Module, kind: type[nn.Module], make: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """Returns a copy of a network in which each layer of a kind is replaced by what `make` makes of it.

    Raises:
        ValueError: it has no such layer.
    """
    copied = copy.deepcopy(network)
    places = [
        (parent, name) for parent in copied.modules() for name, child in parent.named_children() if type(child) is kind
    ]
    if not places:
        raise ValueError(f"the network has no {kind.__name__} to replace")
    for parent, name in places:
        setattr(parent, name, make(getattr(parent, name)))
    return copied
