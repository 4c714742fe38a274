"""Random resize, padded back: Xie et al. 2018."""

from __future__ import annotations

import torch
from torch import Tensor

from counteract.preprocessors._window import RandomWindow, one_hot, within


class RandomResizePad(RandomWindow):
    """Resizes the image to a random square and pads it with zeros, at a random place, to the size of the input.

    The side is uniform in `size`, both ends included. Resizing takes the nearest pixel, as the published code does:
    `torch.nn.functional.interpolate(mode="nearest")`. Differentiable, exactly.

    Source: Xie et al., "Mitigating adversarial effects through randomization", ICLR 2018. Theirs enlarges images of 299
    to at most 331, where this one shrinks them, so that any network keeps its input size; theirs shares one draw among
    a batch, this one does not. `RandomCropPad` is what Pang et al. (2020) call Xie's method.

    Args and errors are those of `RandomWindow`.

    Examples:
        >>> from counteract import RandomResizePad
        >>> from counteract.datasets import load_dataset
        >>> images, _ = RandomResizePad(size=(24, 30), seed=0)(load_dataset("digits").take(8).images.numpy())
        >>> images.shape
        (8, 3, 32, 32)
    """

    @staticmethod
    def axis_matrix(side: Tensor, start: Tensor, pad: Tensor, length: int) -> Tensor:
        """Rows of one 1, or of zeros where there is padding; `start` is not used, for the whole image is read."""
        del start
        position = within(pad, side, length)
        nearest = (position * (length / side).unsqueeze(1)).floor().long().clamp(max=length - 1)
        return one_hot(torch.where(position >= 0, nearest, -1), length)
