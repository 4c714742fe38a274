"""Blocks of examples: the unit in which a run reads, attacks, judges, records and forgets."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from counteract.datasets import Dataset

BLOCK = 256
"""Examples in a block, but for the last one."""


@dataclass(frozen=True)
class Block:
    """Some examples in a row.

    Attributes:
        start: The index of the first.
        stop: The index after the last.
        digest: A hash of their images and labels.
    """

    start: int
    stop: int
    digest: str

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Sample:
    """The examples of a block, read.

    Attributes:
        block: The block.
        index: Their indices in the dataset, int64, shape (N,).
        images: float32 in [0, 1], shape (N, C, H, W).
        labels: Their true labels, int64, shape (N,).
    """

    block: Block
    index: Tensor
    images: Tensor
    labels: Tensor


def cut(data: Dataset) -> list[Block]:
    """Returns the blocks of a dataset; it is read once for their hashes."""
    starts = range(0, len(data), BLOCK)
    stops = [min(start + BLOCK, len(data)) for start in starts]
    return [Block(start, stop, data.digest(start, stop)) for start, stop in zip(starts, stops, strict=True)]


def read(data: Dataset, block: Block, device: torch.device) -> Sample:
    """Reads a block onto a device."""
    index = torch.arange(block.start, block.stop)
    return Sample(block, index.to(device), data.read(index).to(device), data.labels[index].to(device))


def rows_of(images: Tensor, rows: Tensor) -> Tensor:
    """Returns some images by their positions, rising, int64; all of them are not copied."""
    return images if len(rows) == len(images) else images[rows.to(images.device)]
