"""The processes that share a run: each takes blocks of its own, and all of them end with the whole result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from lightning_fabric import Fabric

from counteract._processes import launched

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """One process among others.

    Attributes:
        device: The device that it computes on.
        rank: Its number.
        count: The number of processes.
    """

    device: torch.device
    rank: int = 0
    count: int = 1

    @classmethod
    def join(cls, device: torch.device) -> Processes:
        """Joins the processes that a launcher started, each on a device of its own; alone, keeps the one given."""
        launch = launched()
        if launch is None:
            return cls(device)
        devices, nodes = launch
        fabric = Fabric(accelerator=device.type, strategy="ddp", devices=devices, num_nodes=nodes)
        fabric.launch()
        return cls(fabric.device, fabric.global_rank, fabric.world_size)

    def mine(self, every: Sequence[T]) -> Sequence[T]:
        """Returns this process's part of a list: every `count`-th item."""
        return every[self.rank :: self.count]

    def gather(self, part: T) -> list[T]:
        """Returns what every process passed in, in the order of their ranks."""
        if self.count == 1:
            return [part]
        parts: list[T | None] = [None] * self.count
        dist.all_gather_object(parts, part)
        return [found for found in parts if found is not None]
