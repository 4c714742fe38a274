"""Random resize, padded back or to a larger size: Xie et al. 2018."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import Unpack

from counteract._arguments import check_count
from counteract._errors import UserError
from counteract.preprocessors._window import RandomWindow, Window, one_hot, within
from counteract.preprocessors.base import Options


class RandomResizePad(RandomWindow):
    """Resizes the image to a random square and pads it with zeros, at a random place, to the size of the input or more.

    The side is uniform in `size`, both ends included. Resizing takes the nearest pixel, as the published code does:
    `torch.nn.functional.interpolate(mode="nearest")`. Differentiable, exactly.

    Source: Xie et al., "Mitigating adversarial effects through randomization", ICLR 2018. Theirs enlarges images of 299
    to 310-330 and pads these to 331: `size=(310, 330), padded=331`, for a network that takes such images. By default
    images shrink, so that any network keeps its input size. Theirs shares one draw among a batch, this one does not.
    `RandomCropPad` is what Pang et al. (2020) call Xie's method.

    Args:
        size: The least and the greatest side in pixels; see `RandomWindow`.
        padded: The side of the squares that come out, which `size` may then reach. None: they are of the input's size.
        **options: Those of `RandomPreprocessor`.

    Raises:
        UserError: (a ValueError) as `RandomWindow`; on use also if `padded` is less than a side of the images.

    Examples:
        >>> from counteract import RandomResizePad
        >>> from counteract.datasets import load_dataset
        >>> images, _ = RandomResizePad(size=(24, 30), seed=0)(load_dataset("digits").take(8).images.numpy())
        >>> images.shape
        (8, 3, 32, 32)
    """

    params: ClassVar[list[str]] = [*RandomWindow.params, "padded"]

    def __init__(
        self, size: tuple[int, int] | None = None, *, padded: int | None = None, **options: Unpack[Options]
    ) -> None:
        self.padded = padded
        super().__init__(size, **options)

    def canvas(self, height: int, width: int) -> tuple[int, int]:
        """The height and the width of what comes out: `padded`, or those of the images."""
        if self.padded is None:
            return height, width
        if self.padded < max(height, width):
            raise UserError(f"padded must be at least the side of the images, {height} x {width}, found {self.padded}")
        return self.padded, self.padded

    def describe(self) -> str:
        """Returns the range of sides, and the side of what comes out where that is another than the images'."""
        return super().describe() + (f", padded to {self.padded}" if self.padded else "")

    def apply(self, x: Tensor, parameters: Window) -> Tensor:
        """Resizes and places each image, by one matrix product an axis."""
        height, width = x.shape[2:]
        tall, wide = self.canvas(height, width)
        rows = self._enlarging(parameters.side, parameters.pad_top, height, tall).to(x.dtype)
        columns = self._enlarging(parameters.side, parameters.pad_left, width, wide).to(x.dtype)
        return rows.unsqueeze(1) @ x @ columns.mT.unsqueeze(1)

    @classmethod
    def axis_matrix(cls, side: Tensor, start: Tensor, pad: Tensor, length: int) -> Tensor:
        """One axis's linear map for images that keep their size; `start` is not used, for the whole image is read."""
        del start
        return cls._enlarging(side, pad, length, length)

    @staticmethod
    def _enlarging(side: Tensor, pad: Tensor, length: int, padded: int) -> Tensor:
        """Rows of one 1, or of zeros where there is padding: shape (N, padded, length)."""
        position = within(pad, side, padded)
        nearest = (position * (length / side).unsqueeze(1)).floor().long().clamp(max=length - 1)
        return one_hot(torch.where(position >= 0, nearest, -1), length)

    def _check_params(self) -> None:
        super()._check_params()
        if self.padded is not None:
            self.padded = check_count("padded", self.padded)
