"""The datasets that can be named, and the one door to them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Literal

from platformdirs import user_cache_path

from counteract._arguments import check_count, check_text
from counteract._errors import UserError, unknown_name
from counteract.datasets.base import Dataset
from counteract.datasets.cifar import load_cifar
from counteract.datasets.corrupted import Corrupted, official, read_name
from counteract.datasets.digits import load_digits
from counteract.datasets.folder import PREFIX, find_folder
from counteract.datasets.imagenet import find_imagenet
from counteract.datasets.items import Items, Reading, read_items
from counteract.datasets.npz import load_npz
from counteract.datasets.strangers import make_dataset

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Source:
    """One kind of dataset.

    Attributes:
        name: Its name, as users write it; capitals stand for what they fill in.
        help: One line about it.
        load: Returns the dataset, or items to read, given the name as written, the split, and the folder of downloads.
        pictures: True where images may be pictures, which networks want prepared.
        splits: False for one that is a single split, whichever is asked for.
    """

    name: str
    help: str
    load: Callable[[str, Split, Path, Reading], Dataset | Items]
    splits: bool = True
    pictures: bool = False


_FILE, _FACTORY, _CORRUPTED = "FILE.npz", "package.module:factory", "DATASET-c:NAME:SEVERITY"


def _load_cifar(name: str, split: Split, data_dir: Path, _: Reading) -> Dataset:
    return load_cifar(name, split, data_dir)


def _load_corrupted(name: str, split: Split, data_dir: Path, reading: Reading) -> Dataset:
    """Returns corrupted images; of the training split there are none, so that it is the clean one."""
    found = read_name(name)
    assert found is not None
    base, corruption, severity = found
    clean = functools.partial(load_dataset, base, split, data_dir=data_dir, reading=reading)
    if split == "train":
        return clean()
    return official(base, corruption, severity, data_dir) or Corrupted(clean(), corruption, severity)


DATASETS = {
    source.name: source
    for source in (
        Source(
            "digits",
            "scikit-learn's 1,797 handwritten digits as 32 x 32 images, offline; the last 500 are the test split",
            lambda _, split, *__: load_digits(split),
        ),
        Source("cifar10", "CIFAR-10, found or downloaded by torchvision", _load_cifar),
        Source("cifar100", "CIFAR-100, found or downloaded by torchvision", _load_cifar),
        Source(
            _FILE,
            "a file of yours: images (uint8, N x H x W x 3), labels (N integers) and class_names",
            lambda name, *_: load_npz(Path(name)),
            splits=False,
        ),
        Source(
            "imagenet",
            "ImageNet's images of 2012, where torchvision finds them in --data-dir",
            lambda name, split, data_dir, _: find_imagenet(name, split, data_dir),
            pictures=True,
        ),
        Source(
            f"{PREFIX}DIR",
            "pictures, a folder for each class; --resize and --crop, or the network's own transform",
            lambda name, *_: find_folder(name),
            splits=False,
            pictures=True,
        ),
        Source(
            _FACTORY,
            "anyone's: a function that returns a torch Dataset of (image, label), a DataLoader, or two arrays",
            lambda name, *_: make_dataset(name),
            splits=False,
            pictures=True,
        ),
        Source(
            _CORRUPTED,
            "cifar10-c:fog:3: RobustBench's files in --data-dir, or any dataset's test images, corrupted here",
            _load_corrupted,
        ),
    )
}
"""The datasets by name."""


def find_source(name: str) -> Source:
    """Returns the kind of dataset that a name means.

    Raises:
        UserError: (a ValueError) there is none.
    """
    if corrupted := read_name(name):
        clean = find_source(corrupted[0])
        return replace(DATASETS[_CORRUPTED], splits=clean.splits, pictures=clean.pictures)
    if name.endswith(".npz"):
        return DATASETS[_FILE]
    prefix, colon, _ = name.partition(":")
    if colon:
        return next((each for known, each in DATASETS.items() if known.startswith(f"{prefix}:")), DATASETS[_FACTORY])
    if name not in DATASETS:
        raise unknown_name("dataset", name, DATASETS)
    return DATASETS[name]


def load_dataset(
    name: str | PathLike[str],
    split: Split = "test",
    *,
    data_dir: str | Path | None = None,
    reading: Reading | None = None,
    limit: int | None = None,
) -> Dataset:
    """Loads a dataset by name, or from a file or folder.

    Args:
        name: `digits`, `cifar10`, `cifar100`, `imagenet`; the path of an .npz file with `images` (uint8,
            N x H x W x 3), `labels` (integers, N) and `class_names`; `folder:DIR`, a folder of pictures for each class;
            `package.module:factory`, a function that returns a map-style torch Dataset of (image, label), a DataLoader
            of one, or a pair of images and labels; or `cifar10-c:fog:3`, one of these with a corruption and its
            severity. A file, a folder or a factory is one split, and is loaded whatever `split` says. Pictures, and an
            .npz file's images where they are stored uncompressed, as `numpy.savez` does, stay where they are until they
            are read.
        split: `train` or `test`: the part of a named dataset.
        data_dir: The folder where torchvision finds or puts its datasets, and RobustBench's corrupted images are; by
            default one in the user's cache directory.
        reading: The way to read pictures and other items one by one: how they are resized, and by how many processes.
        limit: The number of images, from the first; None for all.

    Raises:
        UserError: (a ValueError) the name is unknown, a file is missing or malformed, a download failed, or an image
            cannot be read.
    """
    name = check_text("name", name, "that of a dataset, or a path")
    source = find_source(name)
    if split not in ("train", "test"):
        raise UserError(f"split must be 'train' or 'test', found {split!r}")
    limit = None if limit is None else check_count("limit", limit, least=0)
    reading = reading or Reading()
    found = source.load(name, split, Path(data_dir or user_cache_path("art-counteract") / "data"), reading)
    if isinstance(found, Dataset) and read_name(name):  # its clean images were prepared as they were loaded
        return found.take(limit)
    return ready(found, reading, limit)


def ready(found: Dataset | Items, reading: Reading, limit: int | None = None) -> Dataset:
    """Returns a dataset whose items, if it has any, were read once: see `load_dataset`.

    Raises:
        UserError: (a ValueError) one cannot be read, or there is nothing that could be resized.
    """
    if isinstance(found, Items):
        return read_items(found, reading, limit)
    if reading.preparation is not None and reading.preparation.asked:
        raise UserError(f"resize and crop are for pictures, and the images of {found.name} have one size already")
    return found.take(limit)
