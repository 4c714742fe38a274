"""Random crop, padded back: what Pang et al. 2020 evaluate under the name of Xie et al."""

from __future__ import annotations

import torch
from torch import Tensor

from counteract.preprocessors._window import RandomWindow, one_hot, within


class RandomCropPad(RandomWindow):
    """Crops a random square and pads it with zeros, at another random place, to the size of the input; no resizing.

    The side is uniform in `size`, both ends included. Differentiable, exactly.

    Source: the baseline that Pang et al., "Mixup inference", ICLR 2020, attribute to Xie et al. 2018.

    Args and errors are those of `RandomWindow`.

    Examples:
        >>> from counteract import RandomCropPad
        >>> from counteract.datasets import load_dataset
        >>> images, _ = RandomCropPad(size=(24, 30), seed=0)(load_dataset("digits").take(8).images.numpy())
        >>> images.shape
        (8, 3, 32, 32)
    """

    @staticmethod
    def axis_matrix(side: Tensor, start: Tensor, pad: Tensor, length: int) -> Tensor:
        """Rows of one 1, or of zeros where there is padding."""
        position = within(pad, side, length)
        return one_hot(torch.where(position >= 0, position + start.unsqueeze(1), -1), length)
