"""The command `counteract evaluate` as a process of its own: its time and peak memory, and random images for it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CHUNK = 10_000
"""Images that are in memory at once while a file is written: what measures must stay smaller than what it measures."""


@dataclass(frozen=True)
class Spent:
    """The cost of one command.

    Attributes:
        seconds: Its time.
        peak: The largest memory that one of its processes held at once, in MiB.
    """

    seconds: float
    peak: float


def evaluate(
    images: Path, arguments: list[str], *, processes: int = 1, threads: int | None = None, folder: Path | None = None
) -> Spent:
    """Runs `counteract evaluate` on all images of a file, in folders of its own.

    Args:
        images: An .npz file, or a folder of pictures.
        arguments: More arguments of the command.
        processes: The number of processes among which the examples are shared.
        threads: The threads of each process; None for torch's own choice.
        folder: The current folder of the command; None for this one.
    """
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)] if processes > 1 else []
    with tempfile.TemporaryDirectory(dir=images.parent) as made:
        dataset = f"folder:{images}" if images.is_dir() else str(images)
        places = ["--dataset", dataset, "--cache", f"{made}/cache", "--out", f"{made}/run"]
        call = [sys.executable, *launcher, "-m", "counteract", "evaluate", *places, *arguments]
        environment = os.environ | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
        log = Path(made) / "log"
        with log.open("wb") as file:
            start = time.perf_counter()
            process = subprocess.Popen(call, env=environment, stdout=file, stderr=file, cwd=folder)
            _, status, used = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(
                status
            )  # wait4 has told the system that it is over, not this
        if status:
            raise SystemExit(f"{' '.join(call)} failed: {log.read_text(encoding='utf-8').strip()[-2000:]}")
    return Spent(seconds, used.ru_maxrss / 2**10)


def write_random(folder: Path, count: int) -> Path:
    """Writes random images of CIFAR's size with random labels, uncompressed, and returns the file's path."""
    random = np.random.default_rng(0)
    path = folder / f"{count}.npz"
    with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        with archive.open("images.npy", "w", force_zip64=True) as file:
            shape = (count, 32, 32, 3)
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            for start in range(0, count, CHUNK):
                some = (min(CHUNK, count - start), *shape[1:])
                file.write(random.integers(0, 256, some, dtype=np.uint8).tobytes())
        for name, array in {
            "labels": random.integers(0, 10, count),
            "class_names": np.array(list("0123456789")),
        }.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    return path
