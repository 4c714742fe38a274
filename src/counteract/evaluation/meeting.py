"""The meeting: processes of one start find each other in a store where those of earlier starts left what they wrote.

torchrun keeps the store of processes that it starts again (pytorch/pytorch#135712), and does not count the starts of
all machines alike: without this, a process could read the answer of one that is dead.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from torch.distributed.distributed_c10d import PrefixStore, Store

_PAUSE = 0.05
"""Seconds between two looks, so that processes that wait can be interrupted and leave the store to others."""


def meet(store: Store, rank: int, count: int) -> Store:
    """Returns the part of a store that the processes of this start have for themselves, once all of them are there.

    Args:
        store: The store.
        rank: The number of this process.
        count: The number of processes.
    """
    if rank == 0:
        return _host(store, count)
    myself = secrets.token_hex(8)
    store.set(f"hello/{rank}", myself)  # whatever stands there is older
    wait_for(lambda: store.check([f"welcome/{myself}"]))
    place = store.get(f"welcome/{myself}").decode()
    store.set(f"{place}/there/{rank}", "")
    return PrefixStore(place, store)


def _host(store: Store, count: int) -> Store:
    """Answers whoever says hello, until all are there; those who do not come are dead."""
    place, welcomed = secrets.token_hex(8), set[str]()

    def all_there() -> bool:
        for rank in range(1, count):
            if store.check([f"hello/{rank}"]) and (name := store.get(f"hello/{rank}").decode()) not in welcomed:
                store.set(f"welcome/{name}", place)
                welcomed.add(name)
        return all(store.check([f"{place}/there/{rank}"]) for rank in range(1, count))

    wait_for(all_there)
    return PrefixStore(place, store)


def wait_for(happened: Callable[[], bool]) -> None:
    """Waits until something has happened."""
    while not happened():
        time.sleep(_PAUSE)
