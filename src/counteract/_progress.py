"""Progress as it can be seen: as bars on a terminal, and as a line a minute where the output goes elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.progress import Progress

_PERIOD = 60.0
"""The seconds between two lines."""


@contextmanager
def shown(progress: Progress) -> Iterator[None]:
    """Shows progress while something goes on; elsewhere than on a terminal also its bars, once all went well."""
    if progress.disable:
        yield
    elif progress.console.is_terminal:
        with progress:
            yield
    else:
        ended = threading.Event()
        threading.Thread(target=_tell, args=(progress, ended), daemon=True).start()
        try:
            yield
        finally:
            ended.set()
        if progress.tasks:
            progress.console.print(progress)


def _tell(progress: Progress, ended: threading.Event) -> None:
    """Prints a line now and then, until all is over."""
    began, before = time.monotonic(), 0.0
    while not ended.wait(_PERIOD):
        gone = f"{_words(time.monotonic() - began)} gone"
        line = f"preparing, {gone}"
        if progress.tasks:
            task = progress.tasks[-1]
            line = f"{task.description}: {task.percentage:.0f}%, {gone}"
            if task.completed != before and task.time_remaining is not None:  # else the estimate is an old one
                line += f", {_words(task.time_remaining)} left"
            before = task.completed
        progress.console.print(line, highlight=False, markup=False, soft_wrap=True)


def _words(seconds: float) -> str:
    return str(timedelta(seconds=int(seconds)))
