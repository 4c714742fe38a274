"""Datasets in .npz files: images that are stored uncompressed stay in the file until they are read."""

from __future__ import annotations

import io
import math
import os
import struct
import tokenize
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
from counteract._files import is_file
from counteract._memory import most_memory
from counteract.datasets.arrays import ArrayDataset
from counteract.datasets.base import Dataset, check_labels

_MEMBERS = ("images", "labels", "class_names")
_DAMAGE = (
    *(OSError, EOFError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError),
    *(SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error, struct.error),
)
"""The errors that reading a damaged or malicious file raises, or parsing an array's header, which is Python."""

_HEADER = 2**14
"""The number of bytes of a member in which an array's header must end."""

_VERSIONS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0, (3, 0): npy.read_array_header_2_0}


def load_npz(path: Path) -> Dataset:
    """Returns the dataset of an .npz file with `images` (uint8, N x H x W x 3), `labels` and `class_names`.

    Nothing is read before what its header claims is known to fit the file and this machine's memory.

    Raises:
        UserError: (a ValueError) the file is missing, damaged, or holds something else.
    """
    if not is_file(path):
        raise UserError(f"dataset {str(path)!r} is not a file; an .npz needs images, labels and class_names")
    with _explained(path), path.open("rb") as file, zipfile.ZipFile(file) as archive:
        _check_members(path, archive)
        place = _find_images(path, file, archive)
        labels, names = _read_array(archive, "labels"), _read_array(archive, "class_names")
        class_names = _check_names(path, names)
        checked = check_labels(labels, place.shape[0], class_names, f"dataset {path}")
        if archive.getinfo("images.npy").compress_type != zipfile.ZIP_STORED:
            return ArrayDataset(path.stem, _read_array(archive, "images"), checked, class_names)
        _check_sum(archive, "images")
        return _MappedDataset(path.stem, place, checked, class_names)


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    """Raises UserError unless each member is there, once, and can be read."""
    found = archive.namelist()
    missing = sorted(name for name in _MEMBERS if f"{name}.npy" not in found)
    if missing:
        held = ", ".join(name.removesuffix(".npy") for name in found) or "nothing"
        raise UserError(f"dataset {path} lacks {', '.join(missing)}; it holds {held}")
    for name in _MEMBERS:
        if found.count(f"{name}.npy") > 1:
            raise UserError(f"dataset {path} holds {name} twice")
        info = archive.getinfo(f"{name}.npy")
        if info.flag_bits & 1:
            raise UserError(f"dataset {path} is encrypted: unpack it first")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # which unpack without bounds
            raise UserError(f"dataset {path} is packed as numpy packs nothing (method {info.compress_type})")


def _check_names(path: Path, names: npt.NDArray[Any]) -> list[str]:
    """Returns the names of the classes.

    Raises:
        UserError: (a ValueError) they are no list of texts.
        ValueError: they are no valid text.
    """
    if names.ndim != 1 or names.dtype.kind not in "USiu":
        raise UserError(f"dataset {path}: class_names must be a list of names, found {names.dtype}, {names.shape}")
    found = [name.decode() if isinstance(name, bytes) else str(name) for name in names]
    for name in found:
        name.encode()
    return found


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
    shape, fortran, dtype, header = _read_header(archive, "images")
    if len(shape) != 4 or shape[-1] != 3 or dtype != np.uint8 or 0 in shape[1:]:
        raise UserError(f"dataset {path}: images must be uint8, N x H x W x 3; found {dtype}, {shape}")
    file.seek(info.header_offset + 26)  # lengths of name and extra field, the last two numbers of a local header
    begin = info.header_offset + 30 + sum(struct.unpack("<HH", file.read(4)))
    return _Place(path.absolute(), _stamp(file), begin + header, shape, "F" if fortran else "C")


def _read_header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Returns an array's shape, its order (True for Fortran's), its type, and the length of its header.

    Raises:
        ValueError: these do not fit the member's size.
    """
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as member:
        start = io.BytesIO(member.read(_HEADER))
    version = npy.read_magic(start)
    if version not in _VERSIONS:
        raise ValueError(f"{name} are of a version that is not known, {version}")
    shape, fortran, dtype = _VERSIONS[version](start)
    if dtype.hasobject:
        raise UserError(f"dataset {archive.filename} does not hold plain arrays (pickled ones are not read): {name}")
    if min(shape, default=0) < 0 or info.file_size - start.tell() != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name} of {shape} take {info.file_size - start.tell()} bytes")
    return shape, fortran, dtype, start.tell()


def _stamp(file: IO[bytes]) -> tuple[int, int, int]:
    status = os.fstat(file.fileno())
    return status.st_ino, status.st_size, status.st_mtime_ns


def _read_array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    """Returns an array, unpacked, once it is known that memory holds it."""
    _read_header(archive, name)
    size = archive.getinfo(f"{name}.npy").file_size
    if size > most_memory():
        raise UserError(
            f"dataset {archive.filename}: {name} take {size:,} bytes in memory, more than half of this machine's; "
            "images that are stored uncompressed, as by numpy.savez, are read block by block"
        )
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
    except MemoryError as error:
        raise UserError(f"dataset {path} does not fit into memory") from error
    except _DAMAGE as error:
        raise UserError(f"dataset {path} is not a readable .npz file: {error}") from error
