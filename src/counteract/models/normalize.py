"""Normalisation as a layer, so that everything outside a network speaks of pixels in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from counteract._errors import UserError


def check_mean(value: float) -> float:
    """Returns a mean of pixels in [0, 1]; any other is refused."""
    if not 0 <= value <= 1:
        raise UserError(f"Input should be in [0, 1], as pixels are{_hint(value)}")
    return value


def check_deviation(value: float) -> float:
    """Returns a standard deviation of pixels in [0, 1]; any other is refused."""
    if not 0 < value <= 1:
        raise UserError(f"Input should be in (0, 1], as deviations of pixels are{_hint(value)}")
    return value


def _hint(value: float) -> str:
    """Returns the number that may have been meant by one of grey levels."""
    return f"; did you mean {value:g}/255 = {value / 255:.4f}?" if 1 < value <= 255 else ""


class Normalize(nn.Module):
    """Subtracts a mean and divides by a standard deviation, per channel.

    Args:
        mean: One value per channel, in units of [0, 1] pixels.
        std: Likewise, positive.

    Raises:
        UserError: (a ValueError) the lengths differ, or a standard deviation is not positive.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std) or not all(s > 0 for s in std):
            raise UserError(f"mean and std need one value per channel, std above zero; found {mean!r} and {std!r}")
        self.register_buffer("mean", torch.tensor(list(mean)).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(list(std)).view(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Returns `(x - mean) / std` for images of shape (N, C, H, W), in their own dtype."""
        return ((x - self.mean) / self.std).to(x.dtype)
