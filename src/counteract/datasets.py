"""Images and labels: scikit-learn's digits (offline), CIFAR through torchvision, and any .npz file."""

from __future__ import annotations

import functools
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from platformdirs import user_cache_path
from torch import Tensor

from counteract._errors import UserError, unknown_name

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Dataset:
    """A labelled set of images.

    Attributes:
        name: The name it was loaded by.
        images: float32 in [0, 1], shape (N, 3, H, W).
        labels: int64, shape (N,).
        class_names: One name per class.
    """

    name: str
    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    def to(self, device: torch.device) -> Dataset:
        """The same data on a device."""
        return Dataset(self.name, self.images.to(device), self.labels.to(device), self.class_names)

    def take(self, limit: int | None) -> Dataset:
        """The first `limit` images, or all of them if `limit` is None."""
        return Dataset(self.name, self.images[:limit], self.labels[:limit], self.class_names)


def load_dataset(name: str, split: Split = "test", *, data_dir: Path | None = None) -> Dataset:
    """Loads a dataset by name, or from an .npz file.

    Args:
        name: `digits`, `cifar10`, `cifar100`, or the path of an .npz file with `images` (uint8, N x H x W x 3),
            `labels` (integers, N) and `class_names`. A file holds one split, and is loaded whatever `split` says.
        split: Which part of a named dataset.
        data_dir: Where torchvision finds or puts CIFAR; by default a folder in the user's cache directory.

    Raises:
        UserError: (a ValueError) the name is unknown, a file is missing or malformed, or a download failed.
    """
    if name.endswith(".npz"):
        return _load_npz(Path(name))
    if name not in _LOADERS:
        raise unknown_name("dataset", name, _LOADERS, "a path ending in .npz")
    if split not in ("train", "test"):
        raise UserError(f"split must be 'train' or 'test', found {split!r}")
    return _LOADERS[name](split, data_dir or user_cache_path("art-counteract") / "data")


def _from_uint8(name: str, images: npt.NDArray[np.uint8], labels: npt.ArrayLike, classes: tuple[str, ...]) -> Dataset:
    """Builds a dataset from N x H x W x 3 grey levels, one byte each."""
    pixels = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float().div_(255)
    return Dataset(name, pixels, torch.from_numpy(np.asarray(labels, dtype=np.int64)), classes)


@functools.cache
def _digits(split: Split) -> Dataset:
    """The last 500 of scikit-learn's 1,797 digits are the test split; their writers differ from most of the others'."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    part = slice(None, -500) if split == "train" else slice(-500, None)
    grey = torch.from_numpy(bunch.images[part]).float().div_(16).unsqueeze(1)
    images = F.interpolate(grey, size=(32, 32), mode="bilinear", align_corners=False).expand(-1, 3, -1, -1).contiguous()
    return Dataset("digits", images, torch.from_numpy(bunch.target[part].astype(np.int64)), tuple("0123456789"))


def _cifar(name: str, torchvision_class: str, split: Split, data_dir: Path) -> Dataset:
    import torchvision.datasets

    try:
        source = getattr(torchvision.datasets, torchvision_class)(str(data_dir), train=split == "train", download=True)
    except (OSError, RuntimeError) as error:  # urllib's errors are OSErrors; a bad checksum is a RuntimeError
        raise UserError(
            f"{name} could not be downloaded to {data_dir} ({error}); go online once, name a folder that holds "
            "torchvision's copy with --data-dir, or pass the path of an .npz file with images, labels and class_names"
        ) from error
    return _from_uint8(name, source.data, source.targets, tuple(source.classes))


def _load_npz(path: Path) -> Dataset:
    if not path.is_file():
        raise UserError(f"dataset {str(path)!r} is not a file; an .npz needs images, labels and class_names")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            missing = {"images", "labels", "class_names"} - set(archive.files)
            if missing:
                raise UserError(
                    f"dataset {path} lacks {', '.join(sorted(missing))}; it holds {', '.join(archive.files)}"
                )
            images, labels, names = archive["images"], archive["labels"], archive["class_names"]
    except (OSError, zipfile.BadZipFile, EOFError) as error:
        raise UserError(f"dataset {path} is not a readable .npz file: {error}") from error
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"dataset {path} must hold plain arrays, not pickled objects: {error}") from error
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8:
        raise UserError(f"dataset {path}: images must be uint8, N x H x W x 3; found {images.dtype}, {images.shape}")
    if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(f"dataset {path}: labels must be {len(images)} integers, found {labels.dtype}, {labels.shape}")
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(names)):
        raise UserError(
            f"dataset {path}: labels run from {labels.min()} to {labels.max()} for {len(names)} class_names"
        )
    return _from_uint8(path.stem, images, labels, tuple(str(name) for name in names))


_LOADERS: dict[str, Callable[[Split, Path], Dataset]] = {
    "digits": lambda split, _: _digits(split),
    "cifar10": functools.partial(_cifar, "cifar10", "CIFAR10"),
    "cifar100": functools.partial(_cifar, "cifar100", "CIFAR100"),
}
