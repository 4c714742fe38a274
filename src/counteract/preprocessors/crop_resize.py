"""Random crop, resized back: Guo et al. 2018, with the crops of Pang et al. 2020."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from counteract.preprocessors._window import RandomWindow, one_hot


class RandomCropResize(RandomWindow):
    """Crops a random square and resizes it bilinearly back to the size of the input.

    The crop's side is uniform in `size`, both ends included, its place uniform. Resizing is
    `torch.nn.functional.interpolate(mode="bilinear", align_corners=False)`. Differentiable, exactly.

    Source: Guo et al., "Countering adversarial images using input transformations", ICLR 2018; the range of sides as in
    the baselines of Pang et al., "Mixup inference", ICLR 2020, who also round to 8 bits, which this does not. Theirs of
    ImageNet is `size=(90, 90)` of 224, with the logits averaged.

    Args and errors are those of `RandomWindow`.

    Examples:
        >>> from counteract import RandomCropResize
        >>> from counteract.datasets import load_dataset
        >>> images, _ = RandomCropResize(size=(24, 30), seed=0)(load_dataset("digits").take(8).images.numpy())
        >>> images.shape
        (8, 3, 32, 32)
    """

    shrinks: ClassVar[int] = 3

    @staticmethod
    def axis_matrix(side: Tensor, start: Tensor, pad: Tensor, length: int) -> Tensor:
        """Rows of two weights that sum to one; `pad` is not used."""
        del pad
        centre = torch.arange(length, device=side.device) + 0.5
        source = (centre * (side / length).unsqueeze(1) - 0.5).clamp(min=0)
        lower = source.floor()
        weight = (source - lower).unsqueeze(-1)
        upper = torch.minimum(lower + 1, side.unsqueeze(1) - 1)
        first = start.unsqueeze(1)
        return (1 - weight) * one_hot(lower.long() + first, length) + weight * one_hot(upper.long() + first, length)
