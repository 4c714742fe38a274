"""The meter: the forward passes that a network is really asked for, whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass
class Meter:
    """A count of forward passes, image by image; a backward pass counts as one.

    Attributes:
        passes: The count.
    """

    passes: int = 0

    def count(self, module: nn.Module, inputs: tuple[Any, ...], answers: Any) -> None:
        """Counts a forward pass, and whenever a gradient comes back through its answers another one."""
        del module
        rows = len(inputs[0])
        self.passes += rows

        def count_backward(gradient: Tensor) -> None:
            del gradient
            self.passes += rows

        if isinstance(answers, Tensor) and answers.requires_grad:
            answers.register_hook(count_backward)


@contextmanager
def metered(*networks: nn.Module) -> Iterator[Meter]:
    """Counts what some networks are asked."""
    meter = Meter()
    with ExitStack() as stack:
        for network in networks:
            stack.callback(network.register_forward_hook(meter.count).remove)
        yield meter
