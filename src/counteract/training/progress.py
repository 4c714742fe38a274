"""The sight of a training for the person who watches it: a bar, a line per epoch, metrics.csv and a TensorBoard log."""

from __future__ import annotations

import csv
import io
import math
from datetime import timedelta
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from counteract._errors import UserError
from counteract._files import write_atomically
from counteract._progress import shown

Row = dict[str, float]
"""One epoch's metrics, by name; every epoch has the same names."""


class Monitor:
    """Shows and logs a run; on all processes but the first it is silent.

    Args:
        folder: The folder for metrics.csv and the TensorBoard log.
        console: The console that lines are printed on.
        epochs: The number of epochs of the run.
        steps: The number of steps of an epoch.
        batch_size: Images in a step.
        history: The epochs that are over already.
        active: True in the first process.
    """

    def __init__(
        self,
        folder: Path,
        console: Console,
        *,
        epochs: int,
        steps: int,
        batch_size: int,
        history: list[Row],
        active: bool,
    ) -> None:
        self.history, self._folder, self._console = history, folder, console
        self._epochs, self._steps, self._batch_size, self._active = epochs, steps, batch_size, active
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=len(history) * steps) if active else None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("loss {task.fields[loss]:.3f}  {task.fields[rate]:,.0f} images/s "),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            disable=not active,
        )
        self._shown = shown(self._bar)
        done = len(history) * steps
        self._task = self._bar.add_task("training", total=epochs * steps, completed=done, loss=float("nan"), rate=0.0)

    def __enter__(self) -> Monitor:
        self._shown.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._shown.__exit__(kind, error, traceback)
        if self._writer is not None:
            self._writer.close()

    def step(self, number: int, loss: float, learning_rate: float, seconds: float) -> None:
        """Shows one training step."""
        self._bar.update(self._task, completed=number + 1, loss=loss, rate=self._batch_size / seconds)
        if self._writer is not None:
            self._writer.add_scalar("train/loss", loss, number)
            self._writer.add_scalar("train/learning_rate", learning_rate, number)

    def epoch(self, row: Row) -> None:
        """Prints and logs a finished epoch."""
        self.history.append(row)
        if self._writer is None:
            return
        for name in ("clean", "pgd"):
            self._writer.add_scalar(f"validation/{name}", row[name], int(row["epoch"]) * self._steps)
        if math.isnan(row["clean"]):
            accuracy = "no validation images"
        else:
            accuracy = f"validation: clean {row['clean']:.1f}%, PGD {row['pgd']:.1f}%"
        self.say(
            f"epoch {row['epoch']:>3.0f}/{self._epochs}  loss {row['loss']:.4f}  lr {row['lr']:.4f}  {accuracy}  "
            f"{row['images_per_s']:,.0f} images/s  {self._left()}"
        )

    def _left(self) -> str:
        """Returns the time that the epochs to come take, if they take as long as those that are over, in words."""
        remaining = self._epochs - len(self.history)
        seconds = round(remaining * sum(row["seconds"] for row in self.history) / len(self.history))
        return f"{timedelta(seconds=seconds)} left" if remaining else "done"

    def say(self, line: str) -> None:
        """Prints a line, on the first process."""
        if self._active:
            self._console.print(line, highlight=False, soft_wrap=True)

    def save(self) -> None:
        """Writes metrics.csv and the TensorBoard log to disk.

        Raises:
            UserError: (a ValueError) they cannot be written.
        """
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.history)
        write_atomically(self._folder / "metrics.csv", text.getvalue().encode())
        if self._writer is not None:
            try:
                self._writer.flush()
            except OSError as error:
                raise UserError(f"--out: the TensorBoard log could not be written ({error.strerror})") from error
