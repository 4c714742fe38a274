"""How a run is carried out: where, with what in sight, and who is told. Nothing here changes what it measures."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch


class Watcher(Protocol):
    """Whoever is told how far a run has come."""

    def begin(self, model: str, work: int) -> None:
        """A network's evaluation begins; it takes `work` forward-equivalents."""

    def advance(self, work: int) -> None:
        """So many of them are done."""

    def warn(self, message: str) -> None:
        """Something went wrong that does not stop the run."""


class Silent:
    """A watcher that shows no progress; what went wrong becomes a Python warning."""

    def begin(self, model: str, work: int) -> None:
        """Shows nothing."""

    def advance(self, work: int) -> None:
        """Shows nothing."""

    def warn(self, message: str) -> None:
        """Warns."""
        warnings.warn(message, stacklevel=2)


@dataclass(frozen=True)
class Means:
    """How a run is carried out.

    Attributes:
        device: Where to compute; of several processes each takes a device of its own of this kind.
        batch_size: Images per batch; None for what suits the device.
        watcher: Told of the progress of this process.
        data_dir: Where torchvision keeps its datasets.
        model_dir: Where RobustBench keeps its checkpoints.
        trust: Whether checkpoints may run code when they are read.
        cache: A folder where adversarial examples are kept from run to run.
        folder: Where to keep a record of finished cells: a run that was killed goes on from there.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    batch_size: int | None = None
    watcher: Watcher = field(default_factory=Silent)
    data_dir: Path | None = None
    model_dir: Path = Path("models")
    trust: bool = False
    cache: Path | None = None
    folder: Path | None = None
