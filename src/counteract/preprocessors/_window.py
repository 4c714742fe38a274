"""Square windows of random size and place: what cropping, resizing and padding have in common.

Each of these maps an image's rows and columns separately and linearly, so one small matrix an axis describes it: the
batch is done at once, and the gradient is exact.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from typing_extensions import Unpack

from counteract import _random
from counteract._arguments import check_count
from counteract._errors import UserError, shown
from counteract.preprocessors.base import Options, RandomPreprocessor

_USUAL, _USUAL_SIDE = (22, 30), 32
"""The paper's range of sides, and the side of its images."""


class Window(NamedTuple):
    """A square of the source and where it goes, one entry per image; all int64, shape (N,).

    Attributes:
        side: Its side in pixels.
        top: The first row that is read.
        left: The first column that is read.
        pad_top: The first row that is written.
        pad_left: The first column that is written.
    """

    side: Tensor
    top: Tensor
    left: Tensor
    pad_top: Tensor
    pad_left: Tensor


class RandomWindow(RandomPreprocessor[Window]):
    """Draws a side uniformly from `size`, both ends included, and offsets uniformly from those that fit.

    Args:
        size: The least and the greatest side in pixels. None for the same parts of the images' smaller side as the
            paper's (22, 30) are of 32.
        **options: Those of `RandomPreprocessor`.

    Raises:
        UserError: (a ValueError) an argument is out of its range; on use also if the greatest side exceeds the images'.
            Evaluations also refuse sides below half of the images', of `RandomCropResize` below a third.
    """

    params: ClassVar[list[str]] = [*RandomPreprocessor.params, "size"]
    spatial = True

    shrinks: ClassVar[int] = 2
    """The part of an image's side, one over this, that a window must not go below."""

    def __init__(
        self,
        size: tuple[int, int] | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(**options)
        self.size = size
        self._shape: tuple[int, int] | None = None
        self._check_params()

    def look(self, x: Tensor) -> None:
        """Makes sure that windows of such sides make sense: neither larger than images nor too small."""
        height, width = self._shape = x.shape[2], x.shape[3]
        (low, high), side = self.sides(height, width), min(self.canvas(height, width))
        least = -(-min(height, width) // self.shrinks)
        if not least <= low <= high <= side:
            raise UserError(f"size must lie within {least}-{side} for images of {height} x {width}, found {low}-{high}")

    def describe(self) -> str:
        """Returns the range of sides, in pixels once it has seen images."""
        if self.size is None and self._shape is None:
            return f"size {_USUAL[0]}-{_USUAL[1]} of {_USUAL_SIDE}"
        low, high = self.sides(*(self._shape or (0, 0)))
        return f"size {low}-{high}"

    def sides(self, height: int, width: int) -> tuple[int, int]:
        """The least and the greatest side for images of a size."""
        return self.size or usual_size(height, width)

    def canvas(self, height: int, width: int) -> tuple[int, int]:
        """The height and the width of what comes out for images of a size: theirs."""
        return height, width

    def draw(self, keys: Tensor, x: Tensor, prepared: Tensor | None) -> Window:
        """Draws a window for each image."""
        del prepared
        height, width = x.shape[2:]
        (low, high), (height, width) = self.sides(height, width), self.canvas(height, width)
        if high > min(height, width):
            raise UserError(f"size reaches {high}, but x has images of {height} x {width}; no side may exceed those")
        u = _random.uniform(keys, 5)
        side = low + _random.below(u[:, 0], high - low + 1)
        rows, columns = height - side + 1, width - side + 1
        return Window(
            side,
            _random.below(u[:, 1], rows),
            _random.below(u[:, 2], columns),
            _random.below(u[:, 3], rows),
            _random.below(u[:, 4], columns),
        )

    def apply(self, x: Tensor, parameters: Window) -> Tensor:
        """Reads each image's window and writes it, by one matrix product an axis."""
        side, top, left, pad_top, pad_left = parameters
        rows = self.axis_matrix(side, top, pad_top, x.shape[2]).to(x.dtype)
        columns = self.axis_matrix(side, left, pad_left, x.shape[3]).to(x.dtype)
        return rows.unsqueeze(1) @ x @ columns.mT.unsqueeze(1)

    @staticmethod
    @abstractmethod
    def axis_matrix(side: Tensor, start: Tensor, pad: Tensor, length: int) -> Tensor:
        """One axis's linear map for each image: float32, shape (N, length, length), output by input."""

    def _check_params(self) -> None:
        super()._check_params()
        if self.size is None:
            return
        try:
            low, high = (check_count("size", end) for end in self.size)
            valid = low <= high
        except (TypeError, ValueError):
            valid = False
        if not valid:
            raise UserError(f"size must be a pair of integers (low, high), 1 <= low <= high, found {shown(self.size)}")
        self.size = low, high


def usual_size(height: int, width: int) -> tuple[int, int]:
    """Returns the range of sides for images of any size that is the paper's, 22 to 30, for those of 32."""
    low, high = (max(1, round(end * min(height, width) / _USUAL_SIDE)) for end in _USUAL)
    return low, high


def one_hot(index: Tensor, length: int) -> Tensor:
    """A row of zeros with a one at `index` for each entry; all zeros where `index` is not in {0, ..., length - 1}."""
    return (index.unsqueeze(-1) == torch.arange(length, device=index.device)).float()


def within(pad: Tensor, side: Tensor, length: int) -> Tensor:
    """Each output position relative to the written window: int64, shape (N, length), -1 outside of it."""
    position = torch.arange(length, device=pad.device) - pad.unsqueeze(1)
    return position.where((position >= 0) & (position < side.unsqueeze(1)), -1)
