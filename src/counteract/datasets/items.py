"""Datasets of items that are read one by one, by worker processes, when their block's turn has come."""

from __future__ import annotations

import copy
import hashlib
import itertools
import signal
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from counteract._errors import UserError, describe
from counteract._preparation import Preparation
from counteract.datasets.base import Dataset, check_labels, image_hash
from counteract.datasets.pictures import Pixels, to_pixels

_TOGETHER = 8
"""Items that a worker process hands over at once."""

_AHEAD = 32
"""Such batches that worker processes read ahead, between them: a block, which the network is busy with for longer."""

_READINGS = itertools.count()
"""Seeds of worker processes, another one each time: what draws random numbers is found out by being another image."""

_NAMED = 5
"""Up to so many items are named one by one."""


class Source(Protocol):
    """Items by index: anything that PyTorch calls a map-style dataset."""

    def __len__(self) -> int:
        """Returns the number of items."""

    def __getitem__(self, index: int, /) -> Any:
        """Returns a picture, tensor or array, and its label."""


@dataclass(frozen=True)
class Items:
    """Items that nothing was read of yet.

    Attributes:
        name: The dataset's name.
        source: The items.
        class_names: One name per class; nothing where nobody knows them.
        places: The items' own names, for errors; nothing where they have none but their index.
        notes: Sentences that reports must say of them.
    """

    name: str
    source: Source
    class_names: tuple[str, ...] = ()
    places: Sequence[str] = ()
    notes: tuple[str, ...] = ()

    def place(self, index: int) -> str:
        """Returns an item's name."""
        return str(self.places[index]) if self.places else f"item {index}"


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=3)


@dataclass(frozen=True)
class Reading:
    """The way to read items.

    Attributes:
        preparation: The way from a picture to an image; None for pictures that have one size already.
        workers: The number of worker processes; 0 reads in this one.
        skip_unreadable: True leaves out what cannot be read, and says so.
        warn: Told of what is left out.
    """

    preparation: Preparation | None = None
    workers: int = 0
    skip_unreadable: bool = False
    warn: Callable[[str], None] = field(default=_warn, compare=False)


@dataclass(frozen=True)
class _Item:
    """An item as it was read.

    Attributes:
        shape: The shape of its pixels.
        dtype: Their type.
        label: Its label.
        sum: A hash of pixels and label.
        levels: A hash of the pixels alone, in grey levels; empty where they are there themselves.
        said: What had to be done to it, and what was not, in words.
        pixels: The pixels; None where nobody wanted them.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    label: int
    sum: bytes
    levels: bytes
    said: tuple[str, ...]
    pixels: npt.NDArray[Any] | None


@dataclass(frozen=True)
class _Unread:
    """An item that could not be read, and why."""

    index: int
    reason: str


class _Reader:
    """Items prepared, or the reasons why they cannot be: errors that workers raise would lose their item's name."""

    def __init__(self, source: Source, preparation: Preparation | None, *, pixels: bool) -> None:
        self.source, self.preparation, self.pixels = source, preparation, pixels

    def __getitem__(self, index: int) -> _Item | _Unread:
        try:
            picture, label = _pair(self.source[index])
            found: Pixels = to_pixels(picture, self.preparation)
            return self._item(found.pixels, _label(label), found.said)
        except UserError as error:
            return _Unread(index, str(error))
        except Exception as error:  # noqa: BLE001  (a damaged file, or a stranger's code, may raise anything)
            return _Unread(index, describe(error))

    def _item(self, pixels: npt.NDArray[Any], label: int, said: tuple[str, ...]) -> _Item:
        content = hashlib.sha256(pixels.data)
        content.update(repr(label).encode())
        levels = b"" if self.pixels else image_hash(torch.tensor(pixels))
        return _Item(pixels.shape, pixels.dtype, label, content.digest(), levels, said, pixels if self.pixels else None)


def _pair(item: Any) -> tuple[Any, Any]:
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise UserError(f"it must be a pair of an image and its label, found {type(item).__name__}")
    return item[0], item[1]


def _label(label: Any) -> int:
    """Returns a label, an integer of any kind or a tensor or an array of one."""
    found = np.asarray(label.detach().cpu() if isinstance(label, Tensor) else label)
    if found.size != 1 or not np.issubdtype(found.dtype, np.integer):
        raise UserError(f"its label must be an integer, found {found.dtype} of shape {found.shape}")
    return int(found.item())


def read_items(items: Items, reading: Reading, limit: int | None = None) -> Dataset:
    """Reads all items once, block by block, and keeps of each a hash: images are read again when they are wanted.

    Args:
        items: The items.
        reading: The way to read them.
        limit: The number of items, from the first; None for all.

    Raises:
        UserError: (a ValueError) there are none, one cannot be read, or they have different sizes.
    """
    rows = range(len(items.source))[:limit]
    found = _First(items)
    lost = [unread for each in _read(items, reading, rows, pixels=False) if (unread := found.add(each)) is not None]
    if lost and not reading.skip_unreadable:
        raise UserError(
            f"dataset {items.name}: {items.place(lost[0].index)} cannot be read ({lost[0].reason})"
            f"{_more(len(lost) - 1)}; mend it, or take it away; `evaluate` and `audit` "
            "go on without, with --skip-unreadable"
        )
    if not found.rows:
        left_out = f": {'; '.join(items.notes)}" if items.notes else ""
        raise UserError(f"dataset {items.name} holds no images{' that can be read' if lost else ''}{left_out}")
    prepared = [f"pictures were {reading.preparation}"] if reading.preparation is not None else []
    notes = [*items.notes, *prepared, *found.notes(), *_left_out(items, lost, reading)]
    return ItemDataset(items, reading, found, tuple(notes))


def _more(others: int) -> str:
    return f", nor can {others} more" if others else ""


def _left_out(items: Items, lost: Sequence[_Unread], reading: Reading) -> list[str]:
    """Tells what was left out; returns it as a note."""
    if not lost:
        return []
    named = [f"{items.place(each.index)} ({each.reason})" for each in lost[:_NAMED]]
    words = f"{', '.join(named)}{f' and {len(lost) - _NAMED} more' if len(lost) > _NAMED else ''}"
    note = f"{len(lost)} images cannot be read and were left out: {words}"
    reading.warn(f"dataset {items.name}: {note}")
    return [note]


class _First:
    """The first reading of items: what all must have in common, and hashes by which each is known again."""

    def __init__(self, items: Items) -> None:
        self.items = items
        self.rows: list[int] = []
        self.labels: list[int] = []
        self.sums: list[tuple[bytes, bytes]] = []
        self.shape: tuple[int, ...] = ()
        self.dtype = np.dtype(np.uint8)
        self.said: Counter[str] = Counter()

    def add(self, read: tuple[int, _Item | _Unread]) -> _Unread | None:
        """Takes an item in, or returns it if it could not be read.

        Raises:
            UserError: (a ValueError) it has another size or type than the first.
        """
        index, found = read
        if isinstance(found, _Unread):
            return found
        if not self.rows:
            self.shape, self.dtype = found.shape, found.dtype
        if (self.shape, self.dtype) != (found.shape, found.dtype):
            raise UserError(
                f"dataset {self.items.name}: {self.items.place(self.rows[0])} is {_kind(self.shape, self.dtype)}, "
                f"{self.items.place(index)} {_kind(found.shape, found.dtype)}: images must have one "
                "size and type: let the dataset do it; `evaluate` and `audit` have --resize 256 --crop 224 for pictures"
            )
        self.rows.append(index)
        self.labels.append(found.label)
        self.sums.append((found.sum, found.levels))
        self.said.update(found.said)
        return None

    def notes(self) -> list[str]:
        """Returns what was done to how many items, and what was not."""
        return [f"{count} of {len(self.rows)} images {said}" for said, count in sorted(self.said.items())]


def _kind(shape: Sequence[int], dtype: np.dtype[Any]) -> str:
    return f"{' x '.join(map(str, shape))} ({dtype})"


class ItemDataset(Dataset):
    """Items that were read once. Whatever is read again is compared with what it was.

    Args:
        items: The items.
        reading: The way to read them.
        found: Their first reading.
        notes: Sentences that reports must say of them.
    """

    def __init__(self, items: Items, reading: Reading, found: _First, notes: tuple[str, ...]) -> None:
        grey = found.dtype == np.uint8
        height, width, channels = found.shape if grey else (*found.shape[1:], found.shape[0])
        names = items.class_names
        labels = check_labels(
            np.array(found.labels, dtype=np.int64),
            len(found.rows),
            names or ("",) * (1 + max(found.labels)),
            f"dataset {items.name}",
        )
        super().__init__(items.name, labels, names, (channels, height, width), notes)
        self._items, self._reading = items, reading
        self._rows = torch.tensor(found.rows)
        self._sums = found.sums
        self._ahead: tuple[list[int], Iterator[tuple[int, _Item | _Unread]]] | None = None

    def stored(self, rows: Tensor) -> Tensor:
        """Returns some images as they are prepared.

        Raises:
            UserError: (a ValueError) one cannot be read any more, or is another one than at first.
        """
        wanted = self._rows[rows].tolist()
        ahead, self._ahead = self._ahead, None
        read = ahead[1] if ahead is not None and ahead[0] == wanted else _read(self._items, self._reading, wanted)
        pixels = [self._known(row, *each) for row, each in zip(rows.tolist(), read, strict=True)]
        return torch.from_numpy(np.stack(pixels)) if pixels else self._nothing()

    def _known(self, row: int, index: int, found: _Item | _Unread) -> npt.NDArray[Any]:
        """Returns an item's pixels, once it is known to be the one that it was."""
        place = f"dataset {self.name}: {self._items.place(index)}"
        if isinstance(found, _Unread):
            raise UserError(f"{place} cannot be read any more: {found.reason}")
        if found.pixels is None or found.sum != self._sums[row][0]:
            raise UserError(
                f"{place} is another image than when it was read first: it must be the same each time; leave random "
                "transforms out, and files alone while they are in use"
            )
        return found.pixels

    def _nothing(self) -> Tensor:
        channels, height, width = self.image_shape
        return torch.empty(0, height, width, channels, dtype=torch.uint8)

    def expect(self, rows: Tensor) -> None:
        """Lets the worker processes begin to read images that will be wanted next."""
        if self._reading.workers:
            wanted = self._rows[rows].tolist()
            self._ahead = (wanted, _read(self._items, self._reading, wanted))

    def select(self, rows: Tensor) -> Dataset:
        """Returns the dataset of these rows (int64, in any order), of which nothing is read anew."""
        found = copy.copy(self)
        found.labels, found._rows, found._ahead = self.labels[rows], self._rows[rows], None
        found._sums = [self._sums[row] for row in torch.arange(len(self))[rows].tolist()]
        return found

    def digest(self, start: int, stop: int) -> str:
        """Returns a hash of the images and labels from `start` up to `stop`, made of theirs."""
        content = hashlib.sha256(repr(self.image_shape).encode())
        for each, _ in self._sums[start:stop]:
            content.update(each)
        return content.hexdigest()

    def hashes(self) -> Iterator[bytes]:
        """Yields the hash of each image that was made when it was first read."""
        yield from (levels for _, levels in self._sums)


def _read(
    items: Items, reading: Reading, rows: Sequence[int], *, pixels: bool = True
) -> Iterator[tuple[int, _Item | _Unread]]:
    """Returns items with their indices in their order; worker processes begin at once.

    Raises:
        UserError: (a ValueError) the items cannot be sent to worker processes, or one of these dies.
    """
    reader = _Reader(items.source, reading.preparation, pixels=pixels)
    if reading.workers == 0 or not rows:
        return ((row, reader[row]) for row in rows)
    workers = min(reading.workers, -(-len(rows) // _TOGETHER))
    loader: DataLoader[Any] = DataLoader(
        reader,  # type: ignore[arg-type]  # it has no length: a sampler says which
        batch_sampler=[list(rows[at : at + _TOGETHER]) for at in range(0, len(rows), _TOGETHER)],
        num_workers=workers,
        prefetch_factor=max(2, -(-_AHEAD // workers)),
        collate_fn=list,
        worker_init_fn=_let_go,
        generator=torch.Generator().manual_seed(next(_READINGS)),  # the global one must not notice
    )
    return _followed(items, rows, _started(items, loader))


def _started(items: Items, loader: DataLoader[Any]) -> Iterator[Any]:
    try:
        return iter(loader)
    except Exception as error:  # a stranger's dataset that cannot be pickled may raise anything
        raise UserError(
            f"dataset {items.name} cannot be sent to worker processes ({describe(error)}): --workers 0 reads it here"
        ) from error


def _followed(
    items: Items, rows: Sequence[int], batches: Iterable[list[_Item | _Unread]]
) -> Iterator[tuple[int, _Item | _Unread]]:
    """Yields items with their indices, and says in one line what became of a worker process."""
    try:
        yield from zip(rows, (item for batch in batches for item in batch), strict=True)
    except RuntimeError as error:
        raise UserError(
            f"dataset {items.name}: a worker process ended ({describe(error)}); try fewer --workers, or 0"
        ) from error


def _let_go(number: int) -> None:
    """Leaves Ctrl-C to the process that started the workers, and lets it end them."""
    del number
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
