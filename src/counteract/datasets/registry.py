"""The datasets that can be named, and the one door to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from platformdirs import user_cache_path

from counteract._errors import UserError, unknown_name
from counteract.datasets.base import Dataset
from counteract.datasets.cifar import load_cifar
from counteract.datasets.corrupted import Corrupted, official, read_name
from counteract.datasets.digits import load_digits
from counteract.datasets.npz import load_npz

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Source:
    """One kind of dataset.

    Attributes:
        name: Its name, as users write it; capitals stand for what they fill in.
        help: One line about it.
        load: Returns the dataset, given the name as written, the split, and the folder of downloads.
    """

    name: str
    help: str
    load: Callable[[str, Split, Path], Dataset]


_FILE, _CORRUPTED = "FILE.npz", "DATASET-c:NAME:SEVERITY"


def _load_corrupted(name: str, split: Split, data_dir: Path) -> Dataset:
    """Returns corrupted images; of the training split there are none, so that it is the clean one."""
    found = read_name(name)
    assert found is not None
    base, corruption, severity = found
    if split == "train":
        return load_dataset(base, "train", data_dir=data_dir)
    return official(base, corruption, severity, data_dir) or Corrupted(
        load_dataset(base, data_dir=data_dir), corruption, severity
    )


DATASETS = {
    source.name: source
    for source in (
        Source(
            "digits",
            "scikit-learn's 1,797 handwritten digits as 32 x 32 images, offline; the last 500 are the test split",
            lambda _, split, __: load_digits(split),
        ),
        Source("cifar10", "CIFAR-10, found or downloaded by torchvision", load_cifar),
        Source("cifar100", "CIFAR-100, found or downloaded by torchvision", load_cifar),
        Source(
            _FILE,
            "a file of yours: images (uint8, N x H x W x 3), labels (N integers) and class_names",
            lambda name, _, __: load_npz(Path(name)),
        ),
        Source(
            _CORRUPTED,
            "cifar10-c:fog:3: RobustBench's files in --data-dir, or any dataset's test images, corrupted here",
            _load_corrupted,
        ),
    )
}
"""The datasets by name."""


def load_dataset(name: str, split: Split = "test", *, data_dir: Path | None = None) -> Dataset:
    """Loads a dataset by name, or from an .npz file.

    Args:
        name: `digits`, `cifar10`, `cifar100`, or the path of an .npz file with `images` (uint8, N x H x W x 3),
            `labels` (integers, N) and `class_names`. A file holds one split, and is loaded whatever `split` says. Its
            images stay in the file where they are stored uncompressed, as `numpy.savez` does. Or `cifar10-c:fog:3`: one
            of these with a corruption and its severity.
        split: The part of a named dataset.
        data_dir: The folder where torchvision finds or puts CIFAR; by default one in the user's cache directory.

    Raises:
        UserError: (a ValueError) the name is unknown, a file is missing or malformed, or a download failed.
    """
    source = DATASETS.get(_CORRUPTED if read_name(name) else _FILE if name.endswith(".npz") else name)
    if source is None:
        raise unknown_name("dataset", name, DATASETS)
    if split not in ("train", "test"):
        raise UserError(f"split must be 'train' or 'test', found {split!r}")
    return source.load(name, split, data_dir or user_cache_path("art-counteract") / "data")
