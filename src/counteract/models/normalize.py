"""Normalisation as a layer, so that everything outside a network speaks of pixels in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from counteract._errors import UserError


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
        """Returns `(x - mean) / std` for images of shape (N, C, H, W)."""
        return (x - self.mean) / self.std
