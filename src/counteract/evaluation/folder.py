"""The folder of a run: run.json holds its conditions, the journals its results, and both are put together here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from counteract._errors import UserError
from counteract._files import read_file, write_atomically
from counteract._sealed import seal, unseal
from counteract._toml import validate
from counteract._values import Strict
from counteract.evaluation.blocks import BLOCK, Block
from counteract.evaluation.cache import checksum
from counteract.evaluation.cells import Cell
from counteract.evaluation.journal import Entry, read_entries
from counteract.evaluation.legacy import is_legacy, read_legacy
from counteract.evaluation.plan import Place, Plan, unit_key
from counteract.evaluation.results import Illustrations, NetworkNote, Run
from counteract.evaluation.spec import EvaluationSpec, make_spec
from counteract.evaluation.subject import Subject

_RUN, _ILLUSTRATIONS = "run.json", "illustrations.safetensors"

_FORMAT = 2
"""The version of run.json; folders of the first version have no number."""

_LONGEST = 2**28
"""The number of bytes of the longest run.json."""


@dataclass(frozen=True)
class Conditions:
    """Everything about a run but its results.

    Attributes:
        spec: Everything that is to be measured.
        environment: Versions and machine.
        class_names: One name per class.
        networks: Notes by the network's label.
        defences: The defences' parameters in words, by network's label, the defence's name in the tables, and True for
            targeted attacks.
        places: The cells.
        obstacles: By network's label, attack and defence the reason why a cell cannot be measured.
        blocks: The examples.
    """

    spec: EvaluationSpec
    environment: dict[str, str | int]
    class_names: tuple[str, ...]
    networks: dict[str, NetworkNote]
    defences: dict[tuple[str, str, bool], str]
    places: Sequence[Place]
    obstacles: dict[tuple[str, str, str], str]
    blocks: Sequence[Block]

    @classmethod
    def of(
        cls,
        spec: EvaluationSpec,
        environment: dict[str, str | int],
        class_names: tuple[str, ...],
        subjects: Sequence[Subject],
        plan: Plan,
        blocks: Sequence[Block],
    ) -> Conditions:
        """Returns the conditions of a run that begins."""
        words = {
            (subject.label, variant.name, targeted): subject.judged(variant, targeted=targeted).describe()
            for subject in subjects
            for variant in spec.variants()
            for targeted in sorted({task.attack.targeted for task in plan.tasks})
        }
        return cls(
            spec=spec,
            environment=environment,
            class_names=class_names,
            networks={subject.label: subject.note() for subject in subjects},
            defences=words,
            places=[task.place for task in plan.tasks],
            obstacles=plan.obstacles,
            blocks=blocks,
        )


def write_conditions(conditions: Conditions, folder: Path) -> None:
    """Writes run.json into a run's folder.

    Raises:
        UserError: (a ValueError) it cannot be written.
    """
    content = {
        "format": _FORMAT,
        "spec": conditions.spec.model_dump(mode="json", exclude_unset=True),
        "environment": conditions.environment,
        "class_names": conditions.class_names,
        "networks": {label: asdict(note) for label, note in conditions.networks.items()},
        "defences": [[*where, words] for where, words in conditions.defences.items()],
        "places": [asdict(place) for place in conditions.places],
        "obstacles": [[*where, reason] for where, reason in conditions.obstacles.items()],
        "blocks": [[block.start, block.stop, block.digest] for block in conditions.blocks],
    }
    write_atomically(folder / _RUN, seal(content, indent=1))


def read_run(folder: str | Path) -> Run:
    """Reads a run, finished or not, of this version or an earlier one, from its folder.

    Raises:
        UserError: (a ValueError) there is no run, or its conditions are damaged.
    """
    folder = Path(folder)
    path = folder / _RUN
    if not path.exists() and (runs := sorted(inside.parent.name for inside in folder.glob(f"*/{_RUN}"))):
        raise UserError(f"{folder} holds no run but runs in folders of their own: name one of {', '.join(runs)} in it")
    text = read_file(path, f"{folder} holds no run: {_RUN}", _LONGEST)
    if is_legacy(text):
        return read_legacy(folder)
    try:
        content = unseal(text)
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); run the evaluation again: what is finished is kept") from error
    if content.get("format") != _FORMAT:
        raise UserError(
            f"{path} was written by another version of this package (format {content.get('format')!r}, this one has "
            f"{_FORMAT}): report it with that version, or run the evaluation again"
        )
    conditions = _conditions(validate(_Content, content, f"{path} is damaged"), str(path))
    entries = read_entries(folder)
    return collect(conditions, entries.found, entries.damaged, _read_illustrations(folder))


class _Content(Strict):
    """The content of run.json."""

    format: int
    spec: dict[str, Any]
    environment: dict[str, str | int]
    class_names: tuple[str, ...]
    networks: dict[str, NetworkNote]
    defences: tuple[tuple[str, str, bool, str], ...]
    places: tuple[Place, ...]
    obstacles: tuple[tuple[str, str, str, str], ...]
    blocks: tuple[tuple[int, int, str], ...]


def _conditions(content: _Content, source: str) -> Conditions:
    found = Conditions(
        spec=make_spec(content.spec, source),
        environment=content.environment,
        class_names=content.class_names,
        networks=content.networks,
        defences={(model, defence, targeted): words for model, defence, targeted, words in content.defences},
        places=content.places,
        obstacles={(model, attack, defence): reason for model, attack, defence, reason in content.obstacles},
        blocks=[Block(*block) for block in content.blocks],
    )
    cells = set(_cells(found.spec))
    stops = [0, *(block.stop for block in found.blocks)]
    if any((place.model, place.attack, place.defence) not in cells for place in found.places) or any(
        block.start != before or not 0 < len(block) <= BLOCK for before, block in zip(stops, found.blocks, strict=False)
    ):
        raise UserError(f"{source} is damaged: its places or blocks are none of its spec; run the evaluation again")
    return found


def _cells(spec: EvaluationSpec) -> list[tuple[str, str, str]]:
    """Returns network's label, attack and defence of every cell."""
    return [
        (model, attack, variant.name) for model in spec.models for attack in spec.attacks for variant in spec.variants()
    ]


def collect(
    conditions: Conditions,
    entries: Mapping[str, Entry],
    damaged: int,
    illustrations: Mapping[str, Illustrations],
) -> Run:
    """Puts a run together from its conditions and the entries that fill its cells."""
    spec, blocks = conditions.spec, conditions.blocks
    cells = {names: Cell(*names) for names in _cells(spec)}
    failed = _failures(conditions, entries)
    examples = blocks[-1].stop if blocks else 0
    for place in conditions.places:
        where = place.model, place.attack, place.defence
        cell = cells[where]
        for block in blocks:
            entry = entries.get(unit_key(place.key, block, conditions.environment))
            if entry is not None and where not in failed:
                _add(cell, place.seed, block, entry, examples)
    lines = (f"{damaged} damaged lines of the journal are left out",) if damaged else ()
    return Run(
        spec=spec,
        environment=conditions.environment,
        class_names=conditions.class_names,
        cells=list(cells.values()),
        examples=examples,
        illustrations={label: illustrations[label] for label in spec.models if label in illustrations},
        networks=conditions.networks,
        defences=conditions.defences,
        obstacles=conditions.obstacles | failed,
        damage=lines,
    )


def _failures(conditions: Conditions, entries: Mapping[str, Entry]) -> dict[tuple[str, str, str], str]:
    """Returns by network's label, attack and defence the reason why an attack failed, on the first block where it did.

    What it found on other blocks does not count.
    """
    found: dict[tuple[str, str, str], str] = {}
    for block in conditions.blocks:
        for place in conditions.places:
            entry = entries.get(unit_key(place.key, block, conditions.environment))
            if entry is not None and entry.failed:
                found.setdefault((place.model, place.attack, place.defence), entry.failed)
    return found


def _add(cell: Cell, seed: int, block: Block, entry: Entry, examples: int) -> None:
    """Puts the answers to one block into a cell.

    Raises:
        UserError: (a ValueError) the entry is not about as many images.
    """
    if entry.n != len(block) or 4 * len(entry.correct) < entry.n * entry.draws:
        raise UserError(
            f"the journal's entry for {cell.attack} on {cell.defence} does not hold the answers to {len(block)} "
            "images: measure again, in another folder"
        )
    if seed not in cell.correct:
        cell.correct[seed] = torch.full((examples,), torch.nan, dtype=torch.float64)
    cell.correct[seed][block.start : block.stop] = entry.shares()
    if entry.random:
        drawn = cell.drawn.setdefault(seed, torch.zeros(entry.draws, examples, dtype=torch.bool))
        drawn[:, block.start : block.stop] = entry.drawn()
    cell.once |= entry.once
    cell.executions, cell.passes = entry.executions, entry.passes
    cell.seconds += entry.seconds
    cell.undefended_seconds += entry.undefended_seconds
    cell.unusable += entry.unusable
    cell.projected += entry.projected
    cell.tried += entry.n if entry.tried is None else entry.tried
    if entry.attack_passes is not None:
        cell.attacked += entry.n
        cell.attack_passes += entry.attack_passes
    cell.said |= dict.fromkeys(filter(None, entry.said.split("\n")))


def write_illustrations(illustrations: Mapping[str, Illustrations], folder: Path) -> None:
    """Keeps a run's examples to look at, by their networks' labels.

    Raises:
        UserError: (a ValueError) they cannot be written.
    """
    tensors = {
        f"{label}/{name}": tensor.cpu().contiguous()
        for label, shown in illustrations.items()
        for name, tensor in vars(shown).items()
    }
    sums = {name: checksum(tensor) for name, tensor in tensors.items()}
    write_atomically(folder / _ILLUSTRATIONS, save(tensors, metadata=sums))


def _read_illustrations(folder: Path) -> dict[str, Illustrations]:
    path = folder / _ILLUSTRATIONS
    if not path.exists():
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            sums = file.metadata() or {}
        if sums != {name: checksum(tensor) for name, tensor in tensors.items()}:
            raise ValueError("the checksum does not fit")
        found: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            label, _, name = key.rpartition("/")
            found.setdefault(label, {})[name] = tensor
        return {label: Illustrations(**shown) for label, shown in found.items()}
    except (OSError, SafetensorError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it, and run the evaluation again") from error
