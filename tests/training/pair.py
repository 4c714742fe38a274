"""Groups of one process and of two, for tests of what processes exchange."""

from __future__ import annotations

import inspect
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def in_two(work: Callable[[int], Any], folder: Path) -> list[Any]:
    """Does something in each of two processes, given its rank; returns both results."""
    place = inspect.getfile(work), work.__name__  # pickle would not find the module of a test
    mp.spawn(_one, (*place, folder), nprocs=2)  # type: ignore[attr-defined, no-untyped-call]
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


def alone(work: Callable[[int], Any], folder: Path) -> Any:
    """Does it in this process, as the only one of a group."""
    dist.init_process_group("gloo", init_method=f"file://{folder / 'alone'}", rank=0, world_size=1)
    try:
        return work(0)
    finally:
        dist.destroy_process_group()


def _one(rank: int, file: str, name: str, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'pair'}", rank=rank, world_size=2)
    torch.save(runpy.run_path(file)[name](rank), folder / f"{rank}.pt")
    dist.barrier()  # neither leaves while the other still talks to it
    dist.destroy_process_group()
