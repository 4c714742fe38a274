"""The processes that share a run: whoever is free takes a block, and all of them end with the whole result.

They talk through the store of their launcher alone: no process fails because another one does, and none has to wait for
another before the end.
"""

from __future__ import annotations

import itertools
import os
import pickle
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from counteract._errors import UserError
from counteract._processes import launched
from counteract.evaluation.meeting import meet, wait_for

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """One process among others.

    Attributes:
        device: The device that it computes on.
        rank: Its number.
        count: The number of processes.
        store: The place where they find what the others wrote; None for one that is alone.
    """

    device: torch.device
    rank: int = 0
    count: int = 1
    store: Store | None = field(default=None, compare=False)
    _counters: dict[str, Iterator[int]] = field(default_factory=lambda: defaultdict(itertools.count), compare=False)

    @classmethod
    def join(cls, device: torch.device) -> Processes:
        """Joins the processes that a launcher started, each on a device of its own; alone, keeps the one given.

        Raises:
            UserError: (a ValueError) this machine has fewer GPUs than processes.
        """
        if launched() is None:
            return cls(device)
        store, rank, count = next(rendezvous("env://"))
        return cls(_own(device), rank, count, meet(store, rank, count))

    def take(self, name: str, count: int) -> Iterator[tuple[int, int | None]]:
        """Yields places of a list that no other process takes, the next one whenever this process comes back for it.

        Beside it comes the one after it, where that is known yet: near the end each is left to whoever is free.

        Args:
            name: The list's name, the same in all processes.
            count: Its length.
        """
        place = self._next(name)
        while place < count:
            after = self._next(name) if place + self.count < count else None
            yield place, after if after is not None and after < count else None
            place = self._next(name) if after is None else after

    def _next(self, name: str) -> int:
        """Returns 0, 1, 2 and so on, each to one process."""
        return next(self._counters[name]) if self.store is None else self.store.add(f"taken/{name}", 1) - 1

    def gather(self, part: T) -> list[T]:
        """Returns what every process passed in, in the order of their ranks; the first process is the last to go."""
        if self.store is None:
            return [part]
        store, place = self.store, f"gathered/{next(self._counters['gathered'])}"
        store.set(f"{place}/{self.rank}", pickle.dumps(part))  # type: ignore[arg-type]  # bytes are taken, too
        parts = [f"{place}/{rank}" for rank in range(self.count)]
        wait_for(lambda: store.check(parts))
        found = [pickle.loads(store.get(each)) for each in parts]
        store.add(f"{place}/read", 1)
        if self.rank == 0:  # the store may be its own
            wait_for(lambda: store.add(f"{place}/read", 0) == self.count)
            for each in parts:
                store.delete_key(each)
        return found


def _own(device: torch.device) -> torch.device:
    """Returns this process's device of a kind."""
    if device.type != "cuda":
        return device
    place, there = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if place >= there:
        raise UserError(
            f"device cuda: {there} GPUs are on this machine, and its processes want one each: start at most {there} of "
            "them with --nproc-per-node"
        )
    own = torch.device("cuda", place)
    torch.cuda.set_device(own)
    return own
