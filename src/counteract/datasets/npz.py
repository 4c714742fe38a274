"""Datasets in .npz files: images that are stored uncompressed stay in the file until they are read."""

from __future__ import annotations

import lzma
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch
from numpy.lib import format as npy
from torch import Tensor

from counteract._errors import UserError
from counteract.datasets.arrays import ArrayDataset
from counteract.datasets.base import Dataset, check_labels

_MEMBERS = ("images", "labels", "class_names")
_DAMAGE = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error)
"""The errors that reading a damaged or foreign zip file raises; an encrypted one's is a RuntimeError."""


def load_npz(path: Path) -> Dataset:
    """Returns the dataset of an .npz file with `images` (uint8, N x H x W x 3), `labels` and `class_names`.

    Raises:
        UserError: (a ValueError) the file is missing, damaged, or holds something else.
    """
    if not path.is_file():
        raise UserError(f"dataset {str(path)!r} is not a file; an .npz needs images, labels and class_names")
    with _explained(path), path.open("rb") as file, zipfile.ZipFile(file) as archive:
        found = [name.removesuffix(".npy") for name in archive.namelist()]
        missing = sorted(set(_MEMBERS) - set(found))
        if missing:
            raise UserError(f"dataset {path} lacks {', '.join(missing)}; it holds {', '.join(found)}")
        place = _find_images(path, file, archive)
        labels, names = _read_array(archive, "labels"), _read_array(archive, "class_names")
        if names.ndim != 1:
            raise UserError(f"dataset {path}: class_names must be a list of names, found {names.shape}")
        class_names = [str(name) for name in names]
        checked = check_labels(labels, place.shape[0], class_names, f"dataset {path}")
        if archive.getinfo("images.npy").compress_type != zipfile.ZIP_STORED:
            return ArrayDataset(path.stem, _read_array(archive, "images"), checked, class_names)
        _check_sum(archive, "images")
        return _MappedDataset(path.stem, place, checked, class_names)


@dataclass(frozen=True)
class _Place:
    """The place of an array in a file.

    Attributes:
        path: The file.
        stamp: Its identity, size and time of change, by which one that was rewritten is told.
        offset: The array's first byte.
        shape: Its shape: N, H, W, 3.
        order: `C` or `F`, for NumPy.
    """

    path: Path
    stamp: tuple[int, int, int]
    offset: int
    shape: tuple[int, int, int, int]
    order: str


class _MappedDataset(Dataset):
    """Images that are read where they lie in a file; each read maps it anew, so that no page stays in memory."""

    def __init__(self, name: str, place: _Place, labels: Tensor, class_names: list[str]) -> None:
        _, height, width, channels = place.shape
        super().__init__(name, labels, class_names, (channels, height, width))
        self._place = place

    def stored(self, rows: Tensor) -> Tensor:
        """Returns a copy of some images as grey levels.

        Raises:
            UserError: (a ValueError) the file is gone, or was changed since the dataset was loaded.
        """
        place = self._place
        try:
            with place.path.open("rb") as file:
                if _stamp(file) != place.stamp:
                    raise UserError(f"dataset {place.path} was changed while it was in use; begin again")
                every = np.memmap(file, np.uint8, "r", place.offset, place.shape, place.order)  # type: ignore[call-overload]
                return torch.from_numpy(np.ascontiguousarray(every[rows.numpy()]))
        except OSError as error:
            raise UserError(f"dataset {place.path} cannot be read any more: {error}") from error


def _find_images(path: Path, file: IO[bytes], archive: zipfile.ZipFile) -> _Place:
    """Returns the place of the images, once the array's header fits what a dataset needs and the member's size."""
    info = archive.getinfo("images.npy")
    with archive.open(info) as member:
        if npy.read_magic(member) == (1, 0):
            shape, fortran, dtype = npy.read_array_header_1_0(member)
        else:
            shape, fortran, dtype = npy.read_array_header_2_0(member)
        header = member.tell()
    if len(shape) != 4 or shape[-1] != 3 or dtype != np.uint8:
        raise UserError(f"dataset {path}: images must be uint8, N x H x W x 3; found {dtype}, {shape}")
    if info.file_size - header != math.prod(shape):
        raise ValueError(f"images of {shape} take {info.file_size - header} bytes")
    file.seek(info.header_offset + 26)  # lengths of name and extra field, the last two numbers of a local header
    begin = info.header_offset + 30 + sum(struct.unpack("<HH", file.read(4)))
    return _Place(path.absolute(), _stamp(file), begin + header, shape, "F" if fortran else "C")


def _stamp(file: IO[bytes]) -> tuple[int, int, int]:
    status = os.fstat(file.fileno())
    return status.st_ino, status.st_size, status.st_mtime_ns


def _read_array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    with archive.open(f"{name}.npy") as member:
        array: npt.NDArray[Any] = npy.read_array(member, allow_pickle=False)
        return array


def _check_sum(archive: zipfile.ZipFile, name: str) -> None:
    """Reads a member to its end, where zipfile compares the checksum, and keeps nothing."""
    with archive.open(f"{name}.npy") as member:
        while member.read(1 << 20):
            pass


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Says in one line what is wrong with a file."""
    try:
        yield
    except UserError:
        raise
    except _DAMAGE as error:
        raise UserError(f"dataset {path} is not a readable .npz file: {error}") from error
    except ValueError as error:
        raise UserError(f"dataset {path} does not hold plain arrays (pickled ones are not read): {error}") from error
