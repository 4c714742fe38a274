"""A guard around other people's code: what it prints stays out of reports, and it cannot end the process."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from contextvars import ContextVar
from typing import NoReturn

VERBOSE: ContextVar[bool] = ContextVar("verbose", default=False)
"""True where the user wants to see everything."""


@contextmanager
def guarded(tell: Callable[[str], None]) -> Iterator[None]:
    """Holds back what is printed, unless the user wants to see it, and makes of `os._exit` an exit like others.

    Args:
        tell: Told in the end, if all went well, how much was held back.
    """
    end, homes = os._exit, (os, sys.modules[os._exit.__module__])
    for home in homes:
        home._exit = _stop_unless_forked(end)  # type: ignore[attr-defined]
    sink = _Sink()
    try:
        if VERBOSE.get():
            yield
        else:
            with redirect_stdout(sink), redirect_stderr(sink):
                yield
    finally:
        for home in homes:
            home._exit = end  # type: ignore[attr-defined]
    if sink.lines:
        tell(f"{sink.lines} lines that were printed meanwhile are left out (--verbose shows them)")


class _Sink(io.TextIOWrapper):
    """A stream that counts the lines written to it and keeps nothing."""

    def __init__(self) -> None:
        super().__init__(_Nowhere(), encoding="utf-8", errors="backslashreplace", write_through=True)
        self.lines = 0

    def write(self, text: str) -> int:
        """Counts the lines in a text."""
        self.lines += text.count("\n")
        return len(text)


class _Nowhere(io.BytesIO):
    """A binary stream that keeps nothing."""

    def write(self, data: object) -> int:
        """Keeps nothing."""
        return memoryview(data).nbytes  # type: ignore[arg-type]

    def fileno(self) -> int:
        """The descriptor of stderr, for whoever writes to that: it cannot be held back."""
        return sys.__stderr__.fileno() if sys.__stderr__ is not None else super().fileno()


def _stop_unless_forked(end: Callable[[int], NoReturn]) -> Callable[[int], NoReturn]:
    """Returns a function that raises SystemExit, but ends a child process, for which `os._exit` is made."""
    process = os.getpid()

    def stop(status: int) -> NoReturn:
        if os.getpid() != process:
            end(status)
        raise SystemExit(status)

    return stop
