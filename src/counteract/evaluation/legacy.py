"""Folders of runs as they were written before journals had blocks and checksums."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from counteract._errors import UserError
from counteract._values import Strict
from counteract.attacks.registry import find_attack
from counteract.defences import describe_defence
from counteract.evaluation.cells import Cell
from counteract.evaluation.results import NetworkNote, Run
from counteract.evaluation.spec import EvaluationSpec, make_spec
from counteract.evaluation.upgrade import upgrade_attack, upgrade_defence

_RUN, _CELLS, _ILLUSTRATIONS = "run.json", "cells.jsonl", "illustrations.safetensors"

_KEYS = {"spec", "environment", "class_names", "places"}

_SHAPE = (3, 32, 32)
"""The images for which today's default sizes are the number of pixels that they were then for all images."""


class _Place(Strict):
    """The place of a result in a run's tables, and the key of its line in the journal."""

    model: str
    attack: str
    defence: str
    seed: int
    key: str


class _Entry(Strict):
    """One line of the journal: the answers to all examples of a cell with one seed."""

    key: str
    executions: int
    work: int
    seconds: float
    plain_seconds: float
    n: int
    correct: str
    draws: int = 1

    def shares(self) -> Tensor:
        """Returns the share of right draws of each example: float64, shape (n,)."""
        packed = np.frombuffer(bytes.fromhex(self.correct), np.uint8)
        if len(packed) != -(-self.n * self.draws // 8):
            raise ValueError("the answers are not as many as the examples")
        bits = np.unpackbits(packed, count=self.n * self.draws)
        return torch.from_numpy(bits.reshape(self.draws, self.n).mean(0, dtype=np.float64))


def is_legacy(text: bytes) -> bool:
    """Returns True if this is the run.json of such a folder."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and set(content) == _KEYS


def read_legacy(folder: Path) -> Run:
    """Reads a run, finished or not, from its folder; its words become today's.

    Raises:
        UserError: (a ValueError) there is no run, or its conditions are damaged.
    """
    try:
        content = json.loads((folder / _RUN).read_text(encoding="utf-8"))
        places = [_Place(**place) for place in content["places"]]
        environment, class_names = dict(content["environment"]), tuple(content["class_names"])
        spec = make_spec(content["spec"], str(folder / _RUN))
        note = _note(content["spec"])
    except OSError as error:
        raise UserError(f"{folder} holds no run: {_RUN}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{folder / _RUN} is damaged ({error}); run the evaluation again") from error
    journal, damage = _read_journal(folder / _CELLS, {place.key for place in places})
    cells = _collect(places, journal)
    if (folder / _ILLUSTRATIONS).exists():
        damage.append(f"{_ILLUSTRATIONS} is of an earlier version, which added the perturbations up, and is left out")
    return Run(
        spec=spec,
        environment=environment,
        class_names=class_names,
        cells=cells,
        examples=max((len(shares) for _, shares in journal.values()), default=spec.limit or 0),
        networks=dict.fromkeys(spec.models, note) if note else {},
        defences=_parameters(spec, cells),
        damage=tuple(damage),
    )


def _note(spec: dict[str, Any]) -> NetworkNote | None:
    """Returns the one thing that old specs could ask for and today's cannot."""
    if not spec.get("error"):
        return None
    odds = f"with probability {spec['error']} at most"
    return NetworkNote(notes=(f"executions were spared: a label is another one than that of all executions {odds}",))


def _read_journal(path: Path, wanted: set[str]) -> tuple[dict[str, tuple[_Entry, Tensor]], list[str]]:
    """Returns the lines that can be read with their shares, by key, and a sentence about those that cannot.

    A last line without its end, of a run that was killed, is no damage: it is only missing.
    """
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    read: dict[int, tuple[_Entry, Tensor]] = {}
    damaged = []
    for number, line in enumerate(lines, 1):
        try:
            entry = _Entry.model_validate_json(line)
            shares = entry.shares()
        except ValueError:
            if line.endswith(b"\n"):
                damaged.append(number)
        else:
            if entry.key in wanted:  # an entry of another spec is no part of this run
                read[number] = entry, shares
    sizes = Counter(entry.n for entry, _ in read.values())
    odd = [number for number, (entry, _) in read.items() if entry.n != sizes.most_common(1)[0][0]]
    damaged = sorted(damaged + odd)  # all cells of a run have the same examples
    found = {entry.key: (entry, shares) for number, (entry, shares) in read.items() if number not in odd}
    return found, [_describe(path, damaged, len(lines))] if damaged else []


def _describe(path: Path, damaged: list[int], lines: int) -> str:
    several = len(damaged) > 1
    return (
        f"{path}: {len(damaged)} of {lines} lines {'are' if several else 'is'} damaged and left out "
        f"(line{'s' * several} {', '.join(map(str, damaged))})"
    )


def _collect(places: Iterable[_Place], journal: dict[str, tuple[_Entry, Tensor]]) -> list[Cell]:
    cells: dict[tuple[str, str, str], Cell] = {}
    for place in places:
        name = (place.model, upgrade_attack(place.attack), upgrade_defence(place.defence))
        cell = cells.setdefault(name, Cell(*name))
        if place.key in journal:
            entry, shares = journal[place.key]
            cell.executions, cell.passes = entry.executions, entry.work
            cell.add(place.seed, shares, entry.seconds, entry.plain_seconds)
    return list(cells.values())


def _parameters(spec: EvaluationSpec, cells: Iterable[Cell]) -> dict[tuple[str, str, bool], str]:
    """Returns the defences' parameters in words, by network, defence, and true for targeted attacks."""
    targeted = {find_attack(cell.attack).targeted for cell in cells}
    return {
        (model, variant.name, kind): describe_defence(
            variant.defence, spec.parameters_for(model, None, targeted=kind, variant=variant), _SHAPE
        )
        for model in spec.models
        for variant in spec.variants()
        for kind in sorted(targeted)
    }
