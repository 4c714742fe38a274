"""Processes find those of their own start, whatever earlier ones left."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from torch._C._distributed_c10d import HashStore

from counteract.evaluation.meeting import meet


def test_those_who_died_are_not_met() -> None:
    store = HashStore()
    with ThreadPoolExecutor(4) as pool:

        def start(*late: int) -> list[str]:
            def arrive(rank: int) -> str:
                time.sleep(0.3 * (rank in late))
                own = meet(store, rank, 3)
                own.set(f"number {rank}", str(rank))
                return str(own.add("arrived", 1))

            return list(pool.map(arrive, range(3)))

        assert sorted(start()) == ["1", "2", "3"]
        assert sorted(start(0)) == ["1", "2", "3"]  # whose predecessor has answered before
        assert sorted(start(1, 2)) == ["1", "2", "3"]
        store.set("hello/1", "somebody who died while it waited")
        assert sorted(start(1)) == ["1", "2", "3"]
