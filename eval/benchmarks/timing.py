"""Timing for all benchmarks: rounds in which every contestant is timed once, and ratios printed with their spread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import torch

T = TypeVar("T")

Round = Mapping[str, float]


def timed(call: Callable[[], T]) -> tuple[T, float]:
    """Returns what a call returns, and its time in seconds, the work of a GPU included."""
    start = time.perf_counter()
    found = call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return found, time.perf_counter() - start


def seconds(call: Callable[[], object]) -> float:
    """Returns the time of a call."""
    return timed(call)[1]


def rounds(contestants: Mapping[str, Callable[[], object]], repeats: int) -> list[Round]:
    """Times every contestant once a round, after one call of each that does not count.

    A change in the machine's speed meets all contestants of a round, and the ratios are of a round's own times.
    """
    for call in contestants.values():
        call()
    return [{name: seconds(call) for name, call in contestants.items()} for _ in range(repeats)]


def show(what: str, ratios: Sequence[float], digits: int = 2) -> None:
    """Prints the median of the ratios and their range."""
    middle, low, high = statistics.median(ratios), min(ratios), max(ratios)
    print(f"{middle:8.{digits}f}  {what}  ({low:.{digits}f} to {high:.{digits}f})")


def conditions(subject: str) -> str:
    """The line that every benchmark prints first."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    return "; ".join(filter(None, (subject, device, f"torch {torch.__version__}")))


def device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
