"""One process's part of the examples, and how the parts come together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from lightning_fabric import Fabric

from counteract._processes import launched

T = TypeVar("T")

BLOCK = 100
"""Examples are dealt out to processes, and adversarial ones stored, in blocks of so many."""


@dataclass(frozen=True)
class Shard:
    """A process among others.

    Attributes:
        device: Where it computes.
        rank: Its number.
        count: How many there are.
    """

    device: torch.device
    rank: int = 0
    count: int = 1

    @classmethod
    def join(cls, device: torch.device) -> Shard:
        """Joins the processes that a launcher started, each on a device of its own; alone, keeps the one given."""
        processes = launched()
        if processes is None:
            return cls(device)
        devices, nodes = processes
        fabric = Fabric(accelerator=device.type, strategy="ddp", devices=devices, num_nodes=nodes)
        fabric.launch()
        return cls(fabric.device, fabric.global_rank, fabric.world_size)

    def blocks(self, count: int) -> list[range]:
        """This process's blocks of `count` examples: every `self.count`-th one."""
        every = [range(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK)]
        return every[self.rank :: self.count]

    def gather(self, part: T) -> list[T]:
        """What every process passed in, in the order of their ranks."""
        if self.count == 1:
            return [part]
        parts: list[T | None] = [None] * self.count
        dist.all_gather_object(parts, part)
        return [found for found in parts if found is not None]
