"""Batches: padding, and what happens when memory runs out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from counteract._batches import BatchSize, in_batches


def size(rows: int | None, told: list[str] | None = None) -> BatchSize:
    return BatchSize(rows, torch.device("cpu"), ([] if told is None else told).append)


def test_batches_are_padded_to_eight_rows() -> None:
    assert list(in_batches(Tensor.tolist, 12, size(5))) == [
        ([0, 1, 2, 3, 4, 4, 4, 4], 5),
        ([5, 6, 7, 8, 9, 9, 9, 9], 5),
        ([10, 11, 11, 11, 11, 11, 11, 11], 2),
    ]


def test_batches_of_large_images_are_smaller_on_a_cpu() -> None:
    def usual(device: str, *shape: int) -> int:
        return BatchSize(None, torch.device(device), print, shape).rows

    small, large = (1, 28, 28), (3, 224, 224)
    assert [usual("cpu", *shape) for shape in (small, (3, 32, 32), (3, 64, 64), large)] == [100, 100, 24, 16]
    assert [usual("cuda", *shape) for shape in (small, large)] == [1000, 1000]
    assert usual("meta", *large) == 16
    assert BatchSize(7, torch.device("cpu"), print, large).rows == 7


def limited(most: int, error: RuntimeError) -> Callable[[Tensor], Tensor]:
    """Work that has memory for so many rows."""

    def work(index: Tensor) -> Tensor:
        if len(index) > most:
            raise error
        return index

    return work


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_where_memory_runs_out_batches_are_halved_and_nothing_is_lost(error: RuntimeError) -> None:
    told: list[str] = []
    batch = size(100, told)
    found = [done[:kept] for done, kept in in_batches(limited(32, error), 130, batch)]
    assert torch.cat(found).tolist() == list(range(130))
    assert batch.rows == 25
    assert told == [f"out of memory: going on with {rows} images per batch" for rows in (50, 25)]


def test_where_no_batch_fits_the_user_is_told() -> None:
    work = limited(4, torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(ValueError, match="memory of cpu does not hold a batch of 8 images"):
        list(in_batches(work, 20, size(None)))


def test_other_errors_are_not_caught() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        list(in_batches(limited(4, RuntimeError("shapes do not match")), 20, size(20)))
