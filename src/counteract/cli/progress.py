"""Progress of a run, on stderr so that stdout stays a clean report: a bar a stage, and lines above them.

Where stderr is no terminal, a bar would be seen when all is over: there a line a minute says how far the run has come.
"""

from __future__ import annotations

import sys
import threading
import time
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_PERIOD = 60.0
"""The seconds between two lines where stderr is no terminal."""


class ProgressBar:
    """A bar a stage, with the time left; a `counteract.evaluation.Watcher`.

    Args:
        active: False shows warnings alone: of several processes one shows the rest.
    """

    def __init__(self, *, active: bool = True) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            # What strangers print goes elsewhere than to this stderr; and a name may hold colons.
            console=Console(file=sys.stderr, emoji=False),
            disable=not active,
        )
        self._task: TaskID | None = None
        self._active = active
        self._ended = threading.Event()

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        if self._active and not self._progress.console.is_terminal:
            threading.Thread(target=self._tell_regularly, args=(time.monotonic(),), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._progress.stop()

    def begin(self, name: str, total: int) -> None:
        """Starts the bar of a stage that takes so many units: cells times examples."""
        self._task = self._progress.add_task(name, total=total)

    def advance(self, count: int) -> None:
        """Moves the bar of the stage that was begun last."""
        if self._task is not None:
            self._progress.advance(self._task, count)

    def tell(self, line: str) -> None:
        """Prints a line above the bars, or on a stderr that is no terminal the line alone, at once."""
        if self._active:
            self._progress.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def warn(self, message: str) -> None:
        """Prints a line likewise, of whichever process."""
        self._progress.console.print(message, highlight=False, markup=False, soft_wrap=True)

    def _tell_regularly(self, began: float) -> None:
        """Tells how far the run has come, until it ends."""
        while not self._ended.wait(_PERIOD):
            gone = f"{timedelta(seconds=int(time.monotonic() - began))} gone"
            task = next((each for each in self._progress.tasks if each.id == self._task), None)
            if task is None:
                self.tell(f"preparing, {gone}")
                continue
            left = "" if task.time_remaining is None else f", {timedelta(seconds=int(task.time_remaining))} left"
            self.tell(f"{task.description}: {task.percentage:.0f}%, {gone}{left}")
