"""Training batches: images that stay on the device, in an order and with crops and flips that are functions of keys.

Everything drawn for an example depends on (seed, epoch, example) alone, so a run that was interrupted, or that several
processes share, sees the same batches as one that was not.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from counteract._errors import UserError
from counteract._random import bits, fold, key
from counteract.datasets import Dataset
from counteract.datasets.augmented import augment

_ORDER, _CROP, _SPLIT = 1, 2, 3
"""Streams of a key, one for each thing that is drawn here."""


class Batch(NamedTuple):
    """Augmented images, their labels, and one key per example for whatever else is drawn for it."""

    images: Tensor
    labels: Tensor
    keys: Tensor


def split_validation(dataset: Dataset, most: int, seed: int) -> tuple[Dataset, Dataset]:
    """Sets aside a tenth of the images, `most` at most, drawn by `seed`: returns (training set, validation set).

    Raises:
        UserError: (a ValueError) there are fewer than ten images, and some are to be set aside.
    """
    if most == 0:
        return dataset, dataset.take(0)
    size = min(most, len(dataset) // 10)
    if size == 0:
        raise UserError(
            f"training and validation need at least 10 images, and there are {len(dataset)} of {dataset.name}: take "
            "more, or --all-images"
        )
    keys = fold(fold(key(seed), _SPLIT), torch.arange(len(dataset)))
    order = bits(keys, 1).squeeze(1).argsort()
    return dataset.select(order[size:].sort().values), dataset.select(order[:size].sort().values)


def check_splits(train_set: Dataset, test_set: Dataset) -> int:
    """Makes sure that a network trained on one set can be tested on the other; returns how many images both hold.

    Raises:
        UserError: (a ValueError) one is empty, they have one class, their images have different shapes, or no test
            image is a new one.
    """
    for option, each in (("--dataset", train_set), ("--test", test_set)):
        if not len(each):
            raise UserError(f"{option} holds no images: {each.name}")
    if train_set.num_classes == 1:
        raise UserError(
            f"--dataset {train_set.name} has one class, {train_set.class_names[0]!r}: there is nothing to learn"
        )
    if train_set.image_shape != test_set.image_shape:
        train, test = (" x ".join(map(str, each.image_shape)) for each in (train_set, test_set))
        raise UserError(f"--test has images of {test}, --dataset of {train}: let both have one shape")
    known = set(train_set.hashes())
    count = sum(each in known for each in test_set.hashes())
    if count == len(test_set):
        raise UserError(f"--test: all of its {count} images are training images, too: its accuracy would be no test")
    return count


class Batches:
    """The training set on a device.

    Args:
        dataset: The training images.
        batch_size: Images in a batch, over all processes; what is left over at an epoch's end is dropped.
        seed: The seed of order and augmentation.
        padding: See `augment`.
        flip: See `augment`.
        device: The device that the images live on.

    Raises:
        UserError: (a ValueError) there are fewer images than a batch holds.
    """

    def __init__(
        self, dataset: Dataset, *, batch_size: int, seed: int, padding: int, flip: bool, device: torch.device
    ) -> None:
        if len(dataset) < batch_size:
            raise UserError(
                f"batch_size of the recipe is {batch_size}, but {len(dataset)} training images are left: take more "
                "images, or a recipe of your own with a smaller batch_size"
            )
        self.batch_size, self.padding, self.flip = batch_size, padding, flip
        self._pixels = dataset.images.permute(0, 2, 3, 1).contiguous().to(device)
        self._labels = dataset.labels.to(device)
        self._key = key(seed, device)

    def __len__(self) -> int:
        return len(self._labels) // self.batch_size

    def order(self, epoch: int) -> Tensor:
        """The examples in the order of an epoch."""
        return bits(fold(self._keys(epoch), _ORDER), 1).squeeze(1).argsort()

    def batch(self, order: Tensor, epoch: int, number: int) -> Batch:
        """Batch `number` of an epoch, whole, whatever the number of processes."""
        rows = order[number * self.batch_size : (number + 1) * self.batch_size]
        keys = self._keys(epoch)[rows]
        images = augment(self._pixels[rows], fold(keys, _CROP), padding=self.padding, flip=self.flip)
        return Batch(images, self._labels[rows], keys)

    def _keys(self, epoch: int) -> Tensor:
        """One key per example."""
        return fold(fold(self._key, epoch), torch.arange(len(self._labels), device=self._labels.device))
