"""Batches whose size leaves no trace in the results, and which shrink where memory runs out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from counteract._errors import UserError
from counteract._seeding import seeded

T = TypeVar("T")

GRANULE = 8
"""Every batch has a multiple of so many rows. CPU kernels round differently for one or two leftover rows, and a
gradient's sign that flips there sends an attack another way; in multiples of eight rows they were found to agree bit
for bit."""

ROWS = {"cpu": 100, "cuda": 1000}
"""Rows in a batch unless the user says how many: CPUs gained nothing from more; GPUs halve theirs until they fit."""

_SMALL = (3, 32, 32)
"""The shape of images of which a CPU's batches have so many rows; of larger ones fewer, for no CPU's memory runs out
before the system ends the process."""

UNKEYED_ROWS = 64
"""Rows in a batch of work that draws from global generators, whatever the batch size: its draws follow the batch."""


class BatchSize:
    """The size of batches at present.

    Args:
        rows: The number of rows that the user wants; None for what suits the device.
        device: The device on which batches are computed.
        warn: Told when there must be fewer.
        shape: The shape of an image.
    """

    def __init__(
        self,
        rows: int | None,
        device: torch.device,
        warn: Callable[[str], None],
        shape: Sequence[int] = _SMALL,
    ) -> None:
        self.rows = rows or _usual(device, shape)
        self.device = device
        self._warn = warn

    def halve(self) -> None:
        """Makes batches smaller from now on.

        Raises:
            UserError: (a ValueError) they have `GRANULE` rows already.
        """
        if self.rows <= GRANULE:
            raise UserError(f"the memory of {self.device} does not hold a batch of {GRANULE} images of this network")
        self.rows = max(GRANULE, self.rows // 2)
        self._warn(f"out of memory: going on with {self.rows} images per batch")
        torch.cuda.empty_cache()


def _usual(device: torch.device, shape: Sequence[int]) -> int:
    """Returns the rows of a batch of which nobody says how many."""
    if device.type in ROWS.keys() - {"cpu"}:
        return ROWS[device.type]
    fitting = ROWS["cpu"] * math.prod(_SMALL) // math.prod(shape)
    return ROWS["cpu"] if fitting >= ROWS["cpu"] else max(2 * GRANULE, fitting // GRANULE * GRANULE)


def in_batches(work: Callable[[Tensor], T], count: int, size: BatchSize) -> Iterator[tuple[T, int]]:
    """Does something with `count` examples, batch by batch; where memory runs out, again with smaller batches.

    Args:
        work: Does something with the examples of some indices. The last index may be repeated as padding.
        count: The number of examples.
        size: The size of a batch.

    Yields:
        What `work` returned, and how many of its rows are not padding.
    """
    start = 0
    while start < count:
        index = torch.arange(start, min(start + size.rows, count), device=size.device)
        kept = len(index)
        try:
            done = work(torch.cat([index, index[-1:].expand(-kept % GRANULE)]))
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            size.halve()
            continue
        yield done, kept
        start += kept


def batches(
    work: Callable[[Tensor], T], count: int, size: BatchSize, where: tuple[int, ...] | None
) -> Iterator[tuple[T, int]]:
    """Does something with `count` examples, batch by batch: see `in_batches`.

    Args:
        work: The work, from the indices of a batch.
        count: The number of examples.
        size: The number of rows in a batch.
        where: For work that draws from global generators, numbers to seed them with in each batch, which then has a
            size of its own; else None.
    """
    if where is None:
        yield from in_batches(work, count, size)
        return
    for start in range(0, count, UNKEYED_ROWS):
        index = torch.arange(start, min(start + UNKEYED_ROWS, count), device=size.device)
        with seeded(*where, start):
            done = work(torch.cat([index, index[-1:].expand(-len(index) % GRANULE)]))
        yield done, len(index)


def out_of_memory(error: RuntimeError) -> bool:
    """Returns True if that is what an error means; PyTorch has no type of its own for it on CPUs."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
