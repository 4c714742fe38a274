"""Images that are cropped and mirrored at random, as functions of keys."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from counteract._random import below, fold, key, uniform
from counteract.datasets.base import Dataset


def augment(pixels: Tensor, keys: Tensor, *, padding: int, flip: bool) -> Tensor:
    """Crops images that are padded with black at random places, and mirrors half of them.

    Args:
        pixels: Images of shape (N, H, W, C).
        keys: One per image.
        padding: The number of black pixels that are added on each side.
        flip: Mirrors half of the images.

    Returns:
        Images of shape (N, C, H, W), in channels-last layout.
    """
    count, height, width, _ = pixels.shape
    draws = uniform(keys, 3)
    rows = below(draws[:, 0], 2 * padding + 1)[:, None] + torch.arange(height, device=keys.device)
    columns = below(draws[:, 1], 2 * padding + 1)[:, None] + torch.arange(width, device=keys.device)
    if flip:
        columns = torch.where(draws[:, 2:] < 0.5, columns.flip(1), columns)
    padded = F.pad(pixels, (0, 0, padding, padding, padding, padding))
    images = torch.arange(count, device=keys.device)
    return padded[images[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


class Augmented(Dataset):
    """Another dataset, each of whose images is cropped and mirrored at random once and for all.

    Args:
        whole: The dataset.
        padding: See `augment`.
    """

    def __init__(self, whole: Dataset, padding: int = 4) -> None:
        super().__init__(whole.name, whole.labels, whole.class_names, whole.image_shape, whole.notes)
        self._whole, self._padding = whole, padding

    def stored(self, rows: Tensor) -> Tensor:
        """Returns some images, changed, in the type and layout in which the dataset keeps them."""
        pixels, keys = self._whole.stored(rows), fold(key(0), rows)
        if pixels.dtype == torch.uint8:
            return augment(pixels, keys, padding=self._padding, flip=True).permute(0, 2, 3, 1)
        return augment(pixels.permute(0, 2, 3, 1), keys, padding=self._padding, flip=True)
