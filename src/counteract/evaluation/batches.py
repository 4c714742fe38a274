"""Batches whose size leaves no trace in the results."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

GRANULE = 8
"""Every batch has a multiple of so many rows. CPU kernels round differently for one or two leftover rows, and a
gradient's sign that flips there sends an attack another way; in multiples of eight rows they were found to agree bit
for bit."""


def batches(count: int, size: int, device: torch.device) -> Iterator[tuple[Tensor, int]]:
    """Yields, for each batch of `size` out of `count` examples, its indices and how many of them are not padding.

    The padding repeats the last example; its results are to be dropped.
    """
    for start in range(0, count, size):
        index = torch.arange(start, min(start + size, count), device=device)
        kept = len(index)
        yield torch.cat([index, index[-1:].expand(-kept % GRANULE)]), kept
