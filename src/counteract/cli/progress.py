"""The progress bar of a run, on stderr so that stdout stays a clean report."""

from __future__ import annotations

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


class ProgressBar:
    """A bar a network, with the time left; a `counteract.evaluation.Watcher`.

    Args:
        active: Whether to show anything: of several processes one does.
    """

    def __init__(self, *, active: bool = True) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not active,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, model: str, work: int) -> None:
        """Starts a network's bar."""
        self._task = self._progress.add_task(model, total=work)

    def advance(self, work: int) -> None:
        """Moves the bar of the network that was begun last."""
        if self._task is not None:
            self._progress.advance(self._task, work)

    def warn(self, message: str) -> None:
        """Prints a line above the bars."""
        self._progress.console.print(message, highlight=False)
