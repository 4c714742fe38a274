"""Corrupted images, `cifar10-c:fog:3`: RobustBench's own files where they are there, else made of clean images."""

from __future__ import annotations

import hashlib
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from counteract._errors import UserError, unknown_name
from counteract._extras import how_to_install
from counteract._seeding import seeded
from counteract.datasets.base import Dataset, check_labels
from counteract.datasets.cifar import class_names

CORRUPTIONS = (
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow",
    "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression",
)  # fmt: skip
"""The fifteen corruptions that RobustBench evaluates."""

OFFICIAL = {"cifar10": "CIFAR-10-C", "cifar100": "CIFAR-100-C"}
"""The folders of the official files, by the names of the datasets that they were made of."""

_NAME = re.compile(r"(?P<base>.+)-c:(?P<corruption>[^:]*):(?P<severity>[^:]*)")

_EACH = 10_000
"""The number of images of one severity in an official file, which has five, the mildest first."""

_SEEDED = ("glass_blur", "impulse_noise")
"""The corruptions that draw from generators of their own, and take a seed."""

_LEAST_SIDE = 32

_MISSING = f"corrupted images need imagecorruptions-imaug: {how_to_install('corruptions')}"


def read_name(name: str) -> tuple[str, str, int] | None:
    """Returns the dataset, the corruption and the severity in a name; None where it is no such name.

    Raises:
        UserError: (a ValueError) there is no such corruption, or the severity is none.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    if found["corruption"] not in CORRUPTIONS:
        raise unknown_name("corruption", found["corruption"], CORRUPTIONS)
    if found["severity"] not in ("1", "2", "3", "4", "5"):
        raise UserError(f"dataset {name}: the severity must be 1 to 5, found {found['severity']!r}")
    return found["base"], found["corruption"], int(found["severity"])


def official(base: str, corruption: str, severity: int, data_dir: Path) -> Dataset | None:
    """Returns the official images, from RobustBench's layout: `CIFAR-10-C/fog.npy` and `labels.npy`; None without them.

    Raises:
        UserError: (a ValueError) the files hold something else.
    """
    folder = data_dir if data_dir.name == OFFICIAL.get(base) else data_dir / OFFICIAL.get(base, "")
    path = folder / f"{corruption}.npy"
    if base not in OFFICIAL or not path.is_file():
        return None
    labels = _mapped(folder / "labels.npy")
    images = _mapped(path)
    if images.shape != (5 * _EACH, 32, 32, 3) or images.dtype != np.uint8 or labels.shape != (5 * _EACH,):
        raise UserError(
            f"dataset {path} must hold {5 * _EACH:,} images of uint8, 32 x 32 x 3, and labels.npy as many labels, "
            f"found {images.dtype}, {images.shape}, and {labels.shape}"
        )
    return _Official(f"{base}-c:{corruption}:{severity}", path, (severity - 1) * _EACH, labels, class_names(base))


def _mapped(path: Path) -> npt.NDArray[Any]:
    """Returns an array that stays in its file."""
    try:
        found: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"dataset {path} cannot be read: {str(error)[:120]}") from error
    return found


class _Official(Dataset):
    """One severity of an official file; each read maps it anew, so that no page stays in memory."""

    def __init__(
        self, name: str, path: Path, first: int, labels: npt.NDArray[Any], class_names: tuple[str, ...]
    ) -> None:
        own = np.array(labels[first : first + _EACH])
        super().__init__(name, check_labels(own, _EACH, class_names, f"dataset {path}"), class_names, (3, 32, 32))
        self._path, self._first = path, first

    def stored(self, rows: Tensor) -> Tensor:
        """Returns a copy of some images as grey levels."""
        return torch.from_numpy(np.ascontiguousarray(_mapped(self._path)[self._first + rows.numpy()]))


class Corrupted(Dataset):
    """The images of a dataset, corrupted as they are read: each from a seed of its own, its index in the dataset.

    The corruptions and their strengths are those that the library `imagecorruptions-imaug` has, ImageNet-C's, which on
    small images are harsher than the official files of CIFAR.

    Source: Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions ...", ICLR 2019.

    Args:
        clean: The dataset.
        corruption: One of `CORRUPTIONS`.
        severity: 1, the mildest, to 5.

    Raises:
        UserError: (a ValueError) the images have fewer than 32 pixels a side, or the library is missing.
    """

    def __init__(self, clean: Dataset, corruption: str, severity: int) -> None:
        if corruption not in CORRUPTIONS or severity not in range(1, 6):
            raise UserError(f"corruption must be one of CORRUPTIONS at 1 to 5, found {corruption!r} at {severity!r}")
        if min(clean.image_shape[1:]) < _LEAST_SIDE:
            raise UserError(f"dataset {clean.name}: corruptions need images of {_LEAST_SIDE} pixels a side or more")
        super().__init__(
            f"{clean.name}-c:{corruption}:{severity}", clean.labels, clean.class_names, (3, *clean.image_shape[1:])
        )
        _library()
        self._clean, self._corruption, self._severity = clean, corruption, severity
        self.notes = (
            *clean.notes,
            f"the images are not the official files: {corruption}, severity {severity}, was made of {clean.name} here, "
            f"by imagecorruptions-imaug {version('imagecorruptions-imaug')}, with ImageNet-C's strengths",
        )

    def stored(self, rows: Tensor) -> Tensor:
        """Returns some images, corrupted: uint8."""
        levels = (self._clean.read(rows) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
        every = levels.expand(-1, -1, -1, 3).numpy()
        corrupted = [self._corrupt(image, int(row)) for image, row in zip(every, rows, strict=True)]
        return (
            torch.from_numpy(np.stack(corrupted)) if corrupted else torch.empty(0, *every.shape[1:], dtype=torch.uint8)
        )

    def _corrupt(self, image: npt.NDArray[Any], row: int) -> npt.NDArray[Any]:
        kind = f"{self._corruption}:{self._severity}"
        seed = int.from_bytes(hashlib.sha256(f"{kind}:{row}".encode()).digest()[:4], "big") // 2
        more = {"seed": seed} if self._corruption in _SEEDED else {}
        with seeded(seed):
            found: npt.NDArray[Any] = _library().corrupt(
                np.ascontiguousarray(image), corruption_name=self._corruption, severity=self._severity, **more
            )
        return found


def _library() -> Any:
    """Returns the library.

    Raises:
        UserError: (a ValueError) it is missing.
    """
    try:
        import imagecorruptions
    except ImportError as error:
        raise UserError(f"{_MISSING} ({str(error)[:120]})") from error
    return imagecorruptions
