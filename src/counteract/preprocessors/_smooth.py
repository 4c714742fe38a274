"""Smooth counterparts of defences that take signs: the same answers, with derivatives where a sign has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from counteract._network import borrowed
from counteract.preprocessors.base import RandomPreprocessor

if TYPE_CHECKING:
    from counteract.preprocessors.first_order import FirstOrderPreprocessor

STEEPNESS = 3.0
"""The slope of the smooth sign at zero, in units of one over a gradient's mean magnitude."""


class Smooth(RandomPreprocessor[Any]):
    """A first-order defence with the derivative of its smooth counterpart.

    Args:
        exact: The defence, which has a `smooth_perturbation`.
    """

    def __init__(self, exact: FirstOrderPreprocessor[Any]) -> None:
        super().__init__(clip_values=exact.clip_values, batch_size=exact.batch_size)
        self._exact = exact

    @property
    def passes(self) -> int:
        """The passes of the defence."""
        return self._exact.passes

    def draw(self, keys: Tensor, x: Tensor, prepared: Tensor | None) -> Any:
        """Draws as the defence does."""
        return self._exact.draw(keys, x, prepared)

    def apply(self, x: Tensor, parameters: Any) -> Tensor:
        """Applies the defence; the gradient is that of its smooth counterpart."""
        exact = self._exact.apply(x.detach(), parameters)
        if not (torch.is_grad_enabled() and x.requires_grad):
            return exact
        with borrowed(self._exact.model):
            change = self._exact.smooth_perturbation(x, parameters)
        assert change is not None
        change = change.nan_to_num(0)
        return exact + (x - x.detach()) + (change - change.detach())


def smooth_sign(gradient: Tensor) -> Tensor:
    """The tanh of a gradient in units of its mean magnitude in each image."""
    scale = gradient.abs().mean((1, 2, 3), keepdim=True).clamp(min=torch.finfo(gradient.dtype).tiny)
    return torch.tanh(STEEPNESS * gradient / scale)


def gradient_of(loss: Tensor, x: Tensor) -> Tensor:
    """The gradient, which can be differentiated in its turn."""
    return torch.autograd.grad(loss, x, create_graph=True)[0]
