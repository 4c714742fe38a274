"""Ctrl-C told from a `KeyboardInterrupt` that code raises by itself."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt(KeyboardInterrupt):
    """A Ctrl-C: somebody's code that raises `KeyboardInterrupt` does not raise this."""


@contextmanager
def telling_interrupts() -> Iterator[None]:
    """Lets Ctrl-C raise `Interrupt`; where it is ignored, and elsewhere than in the main thread, it stays as it is."""
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def are_told() -> bool:
    """Returns True where Ctrl-C raises `Interrupt`, so that a plain `KeyboardInterrupt` is none."""
    return signal.getsignal(signal.SIGINT) is _interrupt


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise Interrupt
