"""The interface of all datasets: labels in memory, images read by index."""

from __future__ import annotations

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from counteract._arguments import check_count
from counteract._errors import UserError

_BLOCK = 1000
"""The images that are read at once to be hashed."""


class Dataset(ABC):
    """A labelled set of images, of which only the labels need be in memory.

    Attributes:
        name: The name it was loaded by.
        labels: int64, shape (N,).
        class_names: One name per class.
        image_shape: Channels, height and width of every image.
        notes: Sentences that reports must say of the images.
    """

    def __init__(
        self,
        name: str,
        labels: Tensor,
        class_names: Sequence[str],
        image_shape: tuple[int, int, int],
        notes: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.labels = labels
        self.class_names = tuple(class_names)
        self.image_shape = image_shape
        self.notes = tuple(notes)

    @abstractmethod
    def stored(self, rows: Tensor) -> Tensor:
        """Returns a copy of some images as the source keeps them: uint8 (n, H, W, C), or float32 (n, C, H, W)."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    def read(self, rows: Tensor) -> Tensor:
        """Returns the images of these indices (int64, in any order): float32 in [0, 1], shape (n, C, H, W)."""
        pixels = self.stored(rows)
        if pixels.dtype == torch.uint8:
            return pixels.permute(0, 3, 1, 2).contiguous().float().div_(255)
        return pixels

    def expect(self, rows: Tensor) -> None:  # noqa: B027  (most need no warning)
        """Says which images will be read next, for whoever can begin with it."""

    @property
    def images(self) -> Tensor:
        """All images at once, as `read` returns them; for sets that fit into memory."""
        return self.read(torch.arange(len(self)))

    def select(self, rows: Tensor) -> Dataset:
        """Returns the dataset of these rows (int64, in any order), whose images stay where they are."""
        return _Selection(self, rows)

    def take(self, limit: int | None) -> Dataset:
        """Returns the dataset of the first `limit` images, or of all of them if `limit` is None.

        Raises:
            UserError: (a ValueError) `limit` is no number of images.
        """
        return self if limit is None else self.select(torch.arange(len(self))[: check_count("limit", limit, least=0)])

    def with_classes(self, class_names: Sequence[str]) -> Dataset:
        """Returns the dataset with names for its classes.

        Raises:
            UserError: (a ValueError) a label has no name.
        """
        found = copy.copy(self)
        check_labels(self.labels.numpy(), len(self), class_names, f"dataset {self.name}")
        found.class_names = tuple(class_names)
        return found

    def digest(self, start: int, stop: int) -> str:
        """Returns a hash of the pixels and labels from `start` up to `stop`, in hexadecimal.

        Pixels are hashed as bytes of grey levels, or as float32 where a set has those: where the bytes lie, in which
        file and whether compressed, makes no difference.
        """
        rows = torch.arange(len(self))[start:stop]
        pixels, labels = self.stored(rows), self.labels[rows]
        content = hashlib.sha256(repr((str(pixels.dtype), tuple(pixels.shape))).encode())
        for array in (pixels, labels):
            content.update(array.contiguous().numpy().data)
        return content.hexdigest()

    def hashes(self) -> Iterator[bytes]:
        """Yields a hash of each image in 256 grey levels, by which two datasets are compared however they are kept."""
        for rows in torch.arange(len(self)).split(_BLOCK):
            yield from map(image_hash, self.stored(rows))


def image_hash(stored: Tensor) -> bytes:
    """Returns a hash of an image in 256 grey levels.

    Args:
        stored: The image as a source keeps it: uint8 (H, W, C), or float32 (C, H, W).
    """
    levels = stored.permute(2, 0, 1) if stored.dtype == torch.uint8 else stored.mul(255).round().byte()
    return hashlib.sha256(levels.contiguous().numpy().data).digest()


class _Selection(Dataset):
    """Some rows of another dataset."""

    def __init__(self, whole: Dataset, rows: Tensor) -> None:
        super().__init__(whole.name, whole.labels[rows], whole.class_names, whole.image_shape, whole.notes)
        self._whole = whole
        self._rows = rows

    def stored(self, rows: Tensor) -> Tensor:
        """Returns a copy of some images as the whole dataset keeps them."""
        return self._whole.stored(self._rows[rows])


def check_labels(labels: npt.NDArray[Any], images: int, class_names: Sequence[str], where: str) -> Tensor:
    """Returns the labels as int64, once there is one for each image and each has a name.

    Args:
        labels: One for each image.
        images: The number of images.
        class_names: One name per class.
        where: The beginning of the error's message.

    Raises:
        UserError: (a ValueError) their number, type or range is wrong.
    """
    if labels.shape != (images,) or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(f"{where}: labels must be {images} integers, found {labels.dtype}, {labels.shape}")
    if images and not (labels.min() >= 0 and labels.max() < len(class_names)):
        raise UserError(f"{where}: labels run from {labels.min()} to {labels.max()} for {len(class_names)} class_names")
    return torch.from_numpy(labels.astype(np.int64))
