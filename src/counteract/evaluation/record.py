"""What a run leaves in its folder: its conditions, a journal of finished cells, examples to look at, and results."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from counteract._errors import UserError
from counteract._files import write_atomically
from counteract.evaluation.scores import (
    Cell,
    Difference,
    Row,
    Summary,
    WorstCase,
    make_differences,
    make_row,
    make_summaries,
    make_worst_cases,
)
from counteract.evaluation.spec import EvaluationSpec, make_spec

_RUN, _CELLS, _RESULTS, _ILLUSTRATIONS = "run.json", "cells.jsonl", "results.json", "illustrations.safetensors"


@dataclass(frozen=True)
class Place:
    """Where a result belongs in a run's tables.

    Attributes:
        model: The network's label.
        attack: The attack's name.
        defence: The defence as the tables name it.
        seed: The seed.
        key: A hash of everything that the result depends on, by which it is found in the journal.
    """

    model: str
    attack: str
    defence: str
    seed: int
    key: str


@dataclass(frozen=True)
class Entry:
    """One line of the journal: a result that one network with one defence had under one attack with one seed.

    Attributes:
        key: A hash of everything that the result depends on.
        executions: How many executions the defence averages.
        work: Forward-equivalents of one defended prediction.
        seconds: The time that the predictions took.
        plain_seconds: The time that the bare network takes for as many.
        n: How many examples.
        correct: Which were classified correctly, draw by draw, as packed bits in hexadecimal.
        draws: How many draws of the defence judged them.
    """

    key: str
    executions: int
    work: int
    seconds: float
    plain_seconds: float
    n: int
    correct: str
    draws: int = 1

    def hits(self) -> Tensor:
        """Which examples were classified correctly: bool, shape (n,); of several draws the share of each, float64."""
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(self.correct), np.uint8), count=self.n * self.draws)
        every = torch.from_numpy(bits).view(self.draws, self.n)
        return every[0].bool() if self.draws == 1 else every.double().mean(0)


def pack(correct: Tensor) -> str:
    """The text for an entry's `correct`: bool, shape (n,) or (draws, n)."""
    return np.packbits(correct.numpy()).tobytes().hex()


def _read_entries(path: Path) -> dict[str, Entry]:
    """The whole entries of a journal by their keys; a line that was being written when the run was killed ends them."""
    entries = {}
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else []:
        try:
            entry = Entry(**json.loads(line))
        except (ValueError, TypeError):
            break
        if not line.endswith(b"\n"):
            break
        entries[entry.key] = entry
    return entries


def _line(entry: Entry) -> bytes:
    return json.dumps(asdict(entry)).encode() + b"\n"


@dataclass(frozen=True)
class Illustrations:
    """A few examples of the first network under the first attack, to look at: the paper's Figure 1.

    Attributes:
        clean: The clean images, float32 in [0, 1], shape (K, C, H, W).
        labels: Their true labels, int64, shape (K,).
        order: The labels of the perturbations, in the order in which they are added: int64, shape (K, N).
        steps: The adversarial images, then the same with the first perturbation added, with the first two, and so on,
            each clamped as the defence does: shape (K, N + 1, C, H, W).
        clean_probabilities: The network's for the clean images, shape (K, classes).
        probabilities: The network's for each of `steps`, shape (K, N + 1, classes).
    """

    clean: Tensor
    labels: Tensor
    order: Tensor
    steps: Tensor
    clean_probabilities: Tensor
    probabilities: Tensor


@dataclass(frozen=True)
class Run:
    """A run, finished or not, as its folder has it.

    Attributes:
        spec: What was to be measured.
        environment: Versions and machine.
        class_names: One name per class.
        cells: What has been measured, in the order of the spec; a cell may lack some or all of its seeds.
        illustrations: Examples to look at, if the spec wants any and the run came so far.
    """

    spec: EvaluationSpec
    environment: dict[str, str | int]
    class_names: tuple[str, ...]
    cells: list[Cell]
    illustrations: Illustrations | None = None

    @property
    def complete(self) -> bool:
        """Whether every cell has every seed."""
        return all(len(cell.correct) == self.spec.seeds for cell in self.cells)

    @property
    def measured(self) -> list[Cell]:
        """The cells that have at least one seed."""
        return [cell for cell in self.cells if cell.correct]

    @property
    def rows(self) -> list[Row]:
        """The accuracy of each cell that has at least one seed."""
        return [make_row(self.spec.dataset, cell) for cell in self.measured]

    @property
    def worst_cases(self) -> list[WorstCase]:
        """For each network and defence, over all of the spec's attacks."""
        return make_worst_cases(self.spec.dataset, self.cells)

    @property
    def summaries(self) -> list[Summary]:
        """For each network and defence what its attacks come to, beside the undefended network."""
        return make_summaries(self.spec.dataset, self.cells)

    @property
    def differences(self) -> list[Difference]:
        """Each defence against none, and each with counteraction against the same without."""
        return make_differences(self.cells)


def collect(
    spec: EvaluationSpec,
    environment: dict[str, str | int],
    class_names: tuple[str, ...],
    places: Iterable[Place],
    entries: Mapping[str, Entry],
    illustrations: Illustrations | None = None,
) -> Run:
    """Puts a run together from its places and the entries that fill some of them."""
    cells: dict[tuple[str, str, str], Cell] = {}
    for place in places:
        name = (place.model, place.attack, place.defence)
        cell = cells.setdefault(name, Cell(*name))
        entry = entries.get(place.key)
        if entry is not None:
            cell.executions, cell.work = entry.executions, entry.work
            cell.add(place.seed, entry.hits(), entry.seconds, entry.plain_seconds)
    return Run(spec, environment, class_names, list(cells.values()), illustrations)


class Record:
    """A run's folder while the run goes on.

    Args:
        folder: Where; None keeps everything in memory alone.
        spec: What is measured.
        environment: Versions and machine.
        class_names: One name per class.
        places: What the run's tables are made of.

    Raises:
        UserError: (a ValueError) the folder cannot be read or written.
    """

    def __init__(
        self,
        folder: Path | None,
        spec: EvaluationSpec,
        environment: dict[str, str | int],
        class_names: tuple[str, ...],
        places: Sequence[Place],
    ) -> None:
        self._folder, self._spec, self._environment, self._class_names = folder, spec, environment, class_names
        self._places = places
        self.entries: dict[str, Entry] = {}
        self._illustrations: Illustrations | None = None
        if folder is None:
            return
        content = {
            "spec": spec.model_dump(mode="json", by_alias=True, exclude_unset=True),
            "environment": environment,
            "class_names": class_names,
            "places": [asdict(place) for place in places],
        }
        self.entries = _read_entries(folder / _CELLS)
        write_atomically(folder / _CELLS, b"".join(map(_line, self.entries.values())))  # without a line cut short
        _write_json(folder / _RUN, content)

    @property
    def wants_illustrations(self) -> bool:
        """Whether there is a folder, and the spec asks for examples to look at."""
        return self._folder is not None and self._spec.illustrations > 0

    def illustrate(self, illustrations: Illustrations) -> None:
        """Keeps a run's examples to look at."""
        self._illustrations = illustrations
        if self._folder is not None:
            tensors = {name: tensor.cpu().contiguous() for name, tensor in vars(illustrations).items()}
            write_atomically(self._folder / _ILLUSTRATIONS, save(tensors))

    def add(self, entry: Entry) -> None:
        """Keeps an entry, on the disk itself; what was there before stays whatever happens."""
        self.entries[entry.key] = entry
        if self._folder is None:
            return
        path = self._folder / _CELLS
        try:
            with path.open("ab") as file:
                file.write(_line(entry))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UserError(f"{path} could not be written ({error.strerror}); run again to go on") from error

    def run(self) -> Run:
        """The run as far as it has come."""
        return collect(
            self._spec, self._environment, self._class_names, self._places, self.entries, self._illustrations
        )


def write_results(run: Run, folder: Path) -> Path:
    """Writes `results.json` into a folder, atomically, and returns its path.

    Raises:
        UserError: (a ValueError) it cannot be written.
    """
    path = folder / _RESULTS
    content = {
        "complete": run.complete,
        "rows": [asdict(row) for row in run.rows],
        "worst_cases": [asdict(case) for case in run.worst_cases],
        "summaries": [asdict(summary) for summary in run.summaries],
        "differences": [asdict(difference) for difference in run.differences],
        "environment": run.environment,
        "spec": run.spec.model_dump(mode="json", by_alias=True),
    }
    _write_json(path, content)
    return path


def read_run(folder: Path) -> Run:
    """Reads a run, finished or not, from its folder.

    Raises:
        UserError: (a ValueError) there is no run, or its files are damaged.
    """
    try:
        content = json.loads((folder / _RUN).read_text(encoding="utf-8"))
        places = [Place(**place) for place in content["places"]]
        environment, class_names = dict(content["environment"]), tuple(content["class_names"])
        spec = make_spec(content["spec"], str(folder / _RUN))
    except OSError as error:
        raise UserError(f"{folder} holds no run: {_RUN}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{folder / _RUN} is damaged ({error}); run the evaluation again") from error
    illustrations = _read_illustrations(folder / _ILLUSTRATIONS) if spec.illustrations else None
    return collect(spec, environment, class_names, places, _read_entries(folder / _CELLS), illustrations)


def _read_illustrations(path: Path) -> Illustrations | None:
    if not path.exists():
        return None
    try:
        return Illustrations(**load(path.read_bytes()))
    except (OSError, SafetensorError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it, and run the evaluation again") from error


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())
