"""Random rotation: a baseline of the paper's Table 3."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import Unpack

from counteract import _random
from counteract._arguments import check_real
from counteract.preprocessors.base import Options, RandomPreprocessor


class RandomRotation(RandomPreprocessor[Tensor]):
    """Rotates the image about its centre by a random angle; what comes from outside the image is black.

    Each output pixel takes the pixel that its centre falls into, as Pillow's `Image.rotate` does by default. That is
    linear in the image, so differentiable, exactly.

    Source: the baseline of Pang et al., "Mixup inference", ICLR 2020.

    Args:
        degrees: The angle is uniform in [-degrees, degrees]; from 0 to 180.
        **options: Those of `RandomPreprocessor`.

    Raises:
        UserError: (a ValueError) an argument is out of its range.

    Examples:
        >>> from counteract import RandomRotation
        >>> from counteract.datasets import load_dataset
        >>> images, _ = RandomRotation(degrees=20, seed=0)(load_dataset("digits").take(8).images.numpy())
        >>> images.shape
        (8, 3, 32, 32)
    """

    params: ClassVar[list[str]] = [*RandomPreprocessor.params, "degrees"]
    spatial = True

    def __init__(
        self,
        degrees: float = 20.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(**options)
        self.degrees = degrees
        self._check_params()

    def draw(self, keys: Tensor, x: Tensor, prepared: Tensor | None) -> Tensor:
        """Draws an angle in degrees, counter-clockwise, for each image: float64, shape (N,)."""
        del x, prepared
        return (2 * _random.uniform(keys, 1)[:, 0] - 1) * self.degrees

    def apply(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Rotates each image by its angle in degrees, counter-clockwise."""
        height, width = x.shape[2:]
        row, column, inside = _sources(parameters, height, width)
        index = (row * width + column).flatten(1).unsqueeze(1).expand(-1, x.shape[1], -1)
        turned = x.flatten(2).gather(2, index).view_as(x)
        return turned * inside.unsqueeze(1).to(x.dtype)

    def _check_params(self) -> None:
        super()._check_params()
        self.degrees = check_real("degrees", self.degrees, high=180.0)


def _sources(degrees: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """For each output pixel the source's row and column, and whether it lies in the image: each (N, height, width)."""
    angle = (degrees * (math.pi / 180)).view(-1, 1, 1)
    down = (torch.arange(height, device=degrees.device) + 0.5 - height / 2).view(1, -1, 1)
    right = (torch.arange(width, device=degrees.device) + 0.5 - width / 2).view(1, 1, -1)
    cos, sin = angle.cos(), angle.sin()
    row = (sin * right + cos * down + height / 2).floor().long()
    column = (cos * right - sin * down + width / 2).floor().long()
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return row.clamp(0, height - 1), column.clamp(0, width - 1), inside
