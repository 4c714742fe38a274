"""The cost of sharing a run among many processes, which ask no network: the list of blocks, the journal, the cache.

    python eval/benchmarks/contention.py [--processes 64] [--blocks 1000] [--side 16]

Each process takes blocks until none is left. Of each it looks for examples in the cache, leaves some there, and writes
a line to its journal, which waits for the disk. At the end all of them get all lines, and one reads all journals, as
the next run would. The processes are forks of one, so that starting them takes no time, and talk to each other over the
loopback, as those that torchrun starts on one machine do.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import socket
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from torch._C._distributed_c10d import TCPStore

from counteract.evaluation.blocks import BLOCK
from counteract.evaluation.cache import ExampleCache, Made
from counteract.evaluation.journal import Entry, Journal, pack, read_entries
from counteract.evaluation.meeting import meet
from counteract.evaluation.processes import Processes

T = TypeVar("T")

Times = dict[str, list[float]]


def timed(times: Times, name: str, call: Callable[[], T]) -> T:
    """Returns what a call returns, and notes its time under a name."""
    start = time.perf_counter()
    found = call()
    times.setdefault(name, []).append(time.perf_counter() - start)
    return found


def entry(block: int) -> Entry:
    """Returns a line about a block, each example of which was right."""
    key = hashlib.sha256(str(block).encode()).hexdigest()
    return Entry(key, BLOCK, 1, pack(torch.ones(1, BLOCK, dtype=torch.bool)), 1, 1, 1.0, 1.0)


def work(
    rank: int, options: argparse.Namespace, folder: Path, port: int, answers: multiprocessing.Queue[Times]
) -> None:
    """Does one process's part."""
    times: Times = {}
    images = torch.rand(BLOCK, 3, options.side, options.side)
    journal, cache = Journal(folder, rank), ExampleCache(folder / "cache", print)
    processes = timed(times, "all of them have met", partial(join, rank, options.processes, port))
    places = processes.take("network", options.blocks)
    while (place := timed(times, "a block taken", partial(next, places, None))) is not None:
        made = entry(place[0])
        timed(times, "a look into the cache", partial(cache.load, made.key))
        timed(times, "a block's examples cached", partial(cache.store, made.key, Made(images, 1.0)))
        timed(times, "a line of the journal", partial(journal.add, made))
    timed(times, "all lines given to all", partial(processes.gather, journal.added))
    answers.put(times)


def join(rank: int, count: int, port: int) -> Processes:
    """Returns a process among others that know the store on a port."""
    store = TCPStore("127.0.0.1", port, is_master=False, timeout=timedelta(minutes=5))
    return Processes(torch.device("cpu"), rank, count, meet(store, rank, count))


def main() -> None:
    """Starts the processes, and prints what each of their steps took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=1000)
    parser.add_argument("--side", type=int, default=16, help="of the images, in pixels")
    options = parser.parse_args()
    torch.set_num_threads(1)
    context = multiprocessing.get_context("fork")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as made:
        folder, answers = Path(made), context.Queue()
        start = time.perf_counter()
        given = [(rank, options, folder, port, answers) for rank in range(options.processes)]
        every = [context.Process(target=work, args=each) for each in given]
        for each in every:
            each.start()
        server = TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False)  # after the forks: it has threads
        times: Times = {}
        for _ in every:
            for name, found in answers.get().items():
                times.setdefault(name, []).extend(found)
        seconds = time.perf_counter() - start
        for each in every:
            each.join()
        del server
        lines = len(timed(times, "all journals read by the next run", partial(read_entries, folder)).found)
    if lines != options.blocks:
        raise SystemExit(f"{lines} lines in the journals of {options.blocks} blocks")
    print(f"{options.processes} processes, {options.blocks} blocks, {torch.get_num_threads()} thread each")
    print(
        f"{seconds:10.1f} s   in all; {1000 * seconds * options.processes / options.blocks:.0f} ms of a process a block"
    )
    for name, found in times.items():
        found.sort()
        print(
            f"{1000 * found[len(found) // 2]:10.1f} ms  {name} (the slowest of {len(found):,}: {1000 * found[-1]:.0f})"
        )


if __name__ == "__main__":
    main()
