"""Datasets of tensors or arrays that are in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from counteract._errors import UserError
from counteract._images import check_images, tensor_of
from counteract._labels import as_array
from counteract.datasets.base import Dataset, check_labels


class ArrayDataset(Dataset):
    """Images and labels in memory; neither is copied where it has the right type already.

    Args:
        name: The name that reports show.
        images: uint8 of shape (N, H, W, 1 or 3), or floats in [0, 1] of shape (N, C, H, W); tensor or array.
        labels: N integers; tensor, array or list.
        class_names: One name per class.

    Raises:
        UserError: (a ValueError) the images or the labels are something else.
    """

    def __init__(
        self,
        name: str,
        images: Tensor | npt.NDArray[Any],
        labels: Tensor | npt.ArrayLike,
        class_names: Sequence[str],
    ) -> None:
        where = f"dataset {name}"
        pixels = tensor_of(images, f"{where}: images").detach().cpu()
        if pixels.dtype == torch.uint8:
            if pixels.ndim != 4 or pixels.shape[-1] not in (1, 3):
                raise UserError(f"{where}: images of uint8 must be N x H x W x 3 (or 1), found {tuple(pixels.shape)}")
            height, width, channels = pixels.shape[1:]
        elif pixels.is_floating_point():
            pixels = check_images(pixels, name=f"{where}: images")
            channels, height, width = pixels.shape[1:]
        else:
            raise UserError(f"{where}: images must be uint8 or floating point, found {pixels.dtype}")
        checked = check_labels(as_array(labels), len(pixels), class_names, where)
        super().__init__(name, checked, class_names, (channels, height, width))
        self._pixels = pixels

    def stored(self, rows: Tensor) -> Tensor:
        """Returns a copy of some images in the type that they were given in."""
        return self._pixels[rows]

    @property
    def images(self) -> Tensor:
        """All images at once: where they are float32 already, those that were given."""
        return super().images if self._pixels.dtype == torch.uint8 else self._pixels
