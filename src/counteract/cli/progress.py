"""Progress of a run, on stderr so that stdout stays a clean report: a bar a stage, and lines above them."""

from __future__ import annotations

import sys
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

from counteract._progress import shown


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
            # This very stderr, because what strangers print goes elsewhere; and a name may hold colons.
            console=Console(file=sys.stderr, emoji=False),
            disable=not active,
        )
        self._shown = shown(self._progress)
        self._task: TaskID | None = None
        self._active = active

    def __enter__(self) -> ProgressBar:
        self._shown.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shown.__exit__(kind, error, trace)

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
