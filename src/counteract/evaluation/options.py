"""Run options: the place and the means of a run, and whoever is told of its progress. Nothing here changes a result."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from counteract._arguments import check_count, check_flag
from counteract._errors import UserError, shown

_TOLD = ("begin", "advance", "tell", "warn")
"""The methods of a watcher."""

_FOLDERS = ("data_dir", "model_dir", "cache", "save_examples", "folder")


class Watcher(Protocol):
    """Whoever is told how far a run has come."""

    def begin(self, name: str, total: int) -> None:
        """A stage begins, a network's evaluation for one; it takes `total` units: cells times examples."""

    def advance(self, count: int) -> None:
        """So many units are done."""

    def tell(self, line: str) -> None:
        """Something is known before the run ends."""

    def warn(self, message: str) -> None:
        """Something went wrong that does not stop the run."""


class Silent:
    """A watcher that shows nothing; a warning becomes one of Python's."""

    def begin(self, name: str, total: int) -> None:
        """Shows nothing."""

    def advance(self, count: int) -> None:
        """Shows nothing."""

    def tell(self, line: str) -> None:
        """Shows nothing."""

    def warn(self, message: str) -> None:
        """Warns."""
        warnings.warn(message, stacklevel=2)


@dataclass(frozen=True)
class RunOptions:
    """The place and the means of a run.

    A device and folders may be given as text.

    Raises:
        UserError: (a ValueError) one of them is of another kind.

    Attributes:
        device: The place of the computation; of several processes each takes a device of its own of this kind.
        batch_size: Images per batch; None for a number that suits the device.
        watcher: Whoever is told of the progress of this process: see `Watcher`.
        data_dir: The folder where torchvision keeps its datasets, and RobustBench's corrupted images are; None for one
            in the user's cache directory.
        model_dir: The folder where RobustBench keeps its checkpoints.
        trust: True lets checkpoints run code when they are read, and networks of Hugging Face bring code.
        cache: A folder where adversarial examples are kept from run to run; None keeps none.
        save_examples: A folder where adversarial examples are kept as .npz and PNG files; None keeps none.
        workers: Processes that read pictures and other items ahead; 0 reads them in this one.
        folder: A folder for the journal of finished blocks: a run that was killed goes on from there.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    batch_size: int | None = None
    watcher: Watcher = field(default_factory=Silent)
    data_dir: Path | None = None
    model_dir: Path = Path("models")
    trust: bool = False
    cache: Path | None = None
    save_examples: Path | None = None
    workers: int = 0
    folder: Path | None = None

    def __post_init__(self) -> None:
        """Takes text for a device and for folders."""
        found: dict[str, object] = {name: _folder(name, getattr(self, name)) for name in _FOLDERS}
        found |= {"device": usable_device(self.device), "workers": check_count("workers", self.workers, least=0)}
        found["trust"] = check_flag("trust", self.trust)
        if lacking := [name for name in _TOLD if not callable(getattr(self.watcher, name, None))]:
            raise UserError(f"watcher must have a method {lacking[0]}, found {shown(self.watcher)}")
        if self.batch_size is not None:
            found["batch_size"] = check_count("batch_size", self.batch_size)
        for name, value in found.items():
            object.__setattr__(self, name, value)


def checked(options: object) -> RunOptions:
    """Returns run options; those by default in place of None.

    Raises:
        UserError: (a ValueError) they are something else.
    """
    if options is None:
        return RunOptions()
    if not isinstance(options, RunOptions):
        raise UserError(f"options must be counteract.evaluation.RunOptions, found {shown(options)}")
    return options


def _folder(name: str, value: object) -> Path | None:
    if value is None and name != "model_dir":
        return None
    if not isinstance(value, (str, Path)):
        raise UserError(f"{name} must be a folder's path, found {shown(value)}")
    return Path(value)


def usable_device(name: Any) -> torch.device:
    """Returns the device of a name, once it is known to compute.

    Raises:
        UserError: (a ValueError) it does not, or there is none of this name.
    """
    try:
        device = torch.device(name)
        if device.type == "cpu" and device.index is not None:
            raise RuntimeError("there is one cpu, without a number")
        torch.ones(1, device=device).add(1).item()  # some devices are names alone, or cannot be read from
    except (RuntimeError, AssertionError, ImportError, AttributeError, ValueError, TypeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        shown_name = shown(str(name) if isinstance(name, torch.device) else name)
        raise UserError(f"device {shown_name} cannot be used here: {reason}; try cpu, cuda or cuda:N") from error
    return device
