"""The sight of a training: lines for the person who watches, and logs on disk."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import pytest
from rich.console import Console
from torch.utils.tensorboard import SummaryWriter

from counteract._errors import UserError
from counteract.training.progress import Monitor, Row

EPOCH: Row = {"epoch": 1, "loss": 2.25, "lr": 0.1, "clean": 50, "pgd": 25, "images_per_s": 1234, "seconds": 2}


def watched(folder: Path, *, active: bool = True, history: list[Row] | None = None) -> tuple[Monitor, io.StringIO]:
    seen = io.StringIO()
    console = Console(file=seen, width=200)
    monitor = Monitor(
        folder, console, epochs=3, steps=4, batch_size=8, history=[] if history is None else history, active=active
    )
    return monitor, seen


def test_an_epoch_is_a_line_and_a_row(tmp_path: Path) -> None:
    monitor, seen = watched(tmp_path)
    with monitor:
        monitor.step(0, 2.5, 0.1, 0.5)
        monitor.epoch(EPOCH)
        monitor.epoch(EPOCH | {"epoch": 2, "loss": 1.5})
        monitor.save()
    first, second = (line for line in seen.getvalue().splitlines() if line.startswith("epoch"))
    assert first.startswith("epoch   1/3  loss 2.2500  lr 0.1000  validation: clean 50.0%, PGD 25.0%  1,234 images/s")
    assert second.startswith("epoch   2/3  loss 1.5000")
    assert (tmp_path / "metrics.csv").read_text().splitlines() == [
        "epoch,loss,lr,clean,pgd,images_per_s,seconds", "1,2.25,0.1,50,25,1234,2", "2,1.5,0.1,50,25,1234,2",
    ]  # fmt: skip
    assert list((tmp_path / "tensorboard").iterdir())


def test_epochs_that_are_over_stay_in_the_log(tmp_path: Path) -> None:
    monitor, _ = watched(tmp_path, history=[EPOCH])
    with monitor:
        monitor.epoch(EPOCH | {"epoch": 2})
        monitor.save()
    assert [line[0] for line in (tmp_path / "metrics.csv").read_text().splitlines()[1:]] == ["1", "2"]


def test_other_processes_remember_but_say_nothing(tmp_path: Path) -> None:
    monitor, seen = watched(tmp_path, active=False)
    with monitor:
        monitor.step(0, 2.5, 0.1, 0.5)
        monitor.epoch(EPOCH)
        monitor.say("a line")
    assert monitor.history == [EPOCH]
    assert seen.getvalue().strip() == ""
    assert not (tmp_path / "tensorboard").exists()


def test_a_log_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: SummaryWriter) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monitor, _ = watched(tmp_path, history=[EPOCH])
    with monitor, monkeypatch.context() as patch:
        patch.setattr(SummaryWriter, "flush", full)
        with pytest.raises(UserError, match=r"--out: the TensorBoard log could not be written \(No space left"):
            monitor.save()
