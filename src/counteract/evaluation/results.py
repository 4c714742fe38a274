"""The results of a run, finished or not: its measurements, its tables, and the parts that are missing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from counteract._files import write_atomically
from counteract.evaluation.cells import Cell
from counteract.evaluation.scores import (
    Difference,
    Row,
    Summary,
    WorstCase,
    make_differences,
    make_row,
    make_summaries,
    make_worst_cases,
)

if TYPE_CHECKING:
    from counteract.evaluation.spec import EvaluationSpec

RESULTS = "results.json"
"""The file that `write_results` writes into a run's folder."""

_NAMED = 10
"""Up to so many cells that are missing are named one by one."""


@dataclass(frozen=True)
class NetworkNote:
    """The facts about one network that its results depend on.

    Attributes:
        random: The network's own answers differ from one time to the next; its draws follow the block.
        method: The training method, where the network's card or its publisher says so.
        training: That training in words, with its recipe, where the card has it.
        notes: Other facts that a reader must know, a sentence each: that it was published for another threat model,
            say.
    """

    random: bool = False
    method: str | None = None
    training: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Illustrations:
    """A few examples of one network under the first attack, to look at, and a count over more: the paper's Figure 1.

    Attributes:
        clean: The clean images, float32 in [0, 1], shape (K, C, H, W).
        labels: Their true labels, int64, shape (K,).
        adversarial: The adversarial images.
        order: The labels of the perturbations: int64, shape (K, N).
        alone: The adversarial images with the perturbation for each of these labels alone: shape (K, N, C, H, W).
        counteracted: The adversarial images with all of them together, as the defence adds them.
        clean_probabilities: The network's for the clean images, shape (K, classes).
        adversarial_probabilities: The network's for the adversarial ones.
        alone_probabilities: The network's for each of `alone`, shape (K, N, classes).
        counteracted_probabilities: The network's for the counteracted ones.
        gained: True where, of M images that the attack broke and N labels, the perturbation for the label alone raises
            the true class's probability: bool, shape (M, N).
        suppressed: True where it lowers the probability of the class that the adversarial image is taken for.
    """

    clean: Tensor
    labels: Tensor
    adversarial: Tensor
    order: Tensor
    alone: Tensor
    counteracted: Tensor
    clean_probabilities: Tensor
    adversarial_probabilities: Tensor
    alone_probabilities: Tensor
    counteracted_probabilities: Tensor
    gained: Tensor
    suppressed: Tensor


@dataclass(frozen=True)
class Run:
    """The results of a run, finished or not.

    Attributes:
        spec: The spec of what there is to measure.
        environment: Versions and machine.
        class_names: One name per class.
        cells: The measurements in the order of the spec; a cell may lack seeds and examples.
        examples: The number of test images that there are to measure.
        illustrations: Examples to look at, by the network's label, if the spec wants any and the run came so far.
        networks: Notes by the network's label.
        defences: The defence's parameters in words, by the network's label, the defence as the tables name it, and true
            for targeted attacks.
        obstacles: The reason that an attack cannot run, by the network's label, the attack, and the defence as the
            tables name it.
        damage: The damage to the run's files, a sentence each.
    """

    spec: EvaluationSpec
    environment: dict[str, str | int]
    class_names: tuple[str, ...]
    cells: list[Cell]
    examples: int
    illustrations: dict[str, Illustrations] = field(default_factory=dict)
    networks: dict[str, NetworkNote] = field(default_factory=dict)
    defences: dict[tuple[str, str, bool], str] = field(default_factory=dict)
    obstacles: dict[tuple[str, str, str], str] = field(default_factory=dict)
    damage: tuple[str, ...] = ()

    @cached_property
    def possible(self) -> list[Cell]:
        """The cells whose attack can run."""
        return [cell for cell in self.cells if (cell.model, cell.attack, cell.defence) not in self.obstacles]

    @cached_property
    def unfinished(self) -> list[tuple[Cell, int]]:
        """The cells, and seeds of them, that lack some or all of their examples."""
        return [
            (cell, seed)
            for cell in self.possible
            for seed in range(self.spec.seeds)
            if not _whole(cell.correct.get(seed))
        ]

    @cached_property
    def complete(self) -> bool:
        """Every cell whose attack can run has every seed and example."""
        return not self.unfinished

    @cached_property
    def progress(self) -> str:
        """The part of the run that is done, in words."""
        wanted = len(self.possible) * self.spec.seeds
        what = "measurements (network x attack x defence x seed)"
        if self.complete:
            return f"complete: all {wanted} {what}"
        begun = sum(seed in cell.measured for cell, seed in self.unfinished)
        parts = f", and parts of {begun} more" if begun else ""
        return f"unfinished: {wanted - len(self.unfinished)} of {wanted} {what}{parts}"

    @cached_property
    def missing(self) -> list[str]:
        """The parts that are damaged or missing, and why, a line each."""
        if not self.unfinished:
            return list(self.damage)
        why = "the lines that are damaged held them, or the run" if self.damage else "the run"
        named = [self._in_words(cell, seed) for cell, seed in self.unfinished[:_NAMED]]
        more = len(self.unfinished) - len(named)
        rest = [f"{more} more"] if more else []
        line = f"missing, because {why} has not come so far: {'; '.join([*named, *rest])}"
        return [*self.damage, line]

    def _in_words(self, cell: Cell, seed: int) -> str:
        shares = cell.correct.get(seed)
        measured = 0 if shares is None else int((~shares.isnan()).sum())
        where = f"{cell.model}, {cell.attack}, {cell.defence}"
        where += f", seed {seed}" if self.spec.seeds > 1 else ""
        return f"{where} ({measured} of {self.examples} examples)" if measured else where

    @cached_property
    def measured(self) -> list[Cell]:
        """The cells that have an example or more."""
        return [cell for cell in self.cells if cell.measured]

    @cached_property
    def rows(self) -> list[Row]:
        """The accuracy of each cell that has one."""
        rows = (make_row(self.spec.dataset, cell) for cell in self.measured)
        return [row for row in rows if row is not None]

    @cached_property
    def worst_cases(self) -> list[WorstCase]:
        """For each network and defence, over all of the spec's attacks that can run."""
        return make_worst_cases(self.spec.dataset, self.possible)

    @cached_property
    def summaries(self) -> list[Summary]:
        """For each network and defence what its attacks come to, beside the undefended network."""
        return make_summaries(self.spec.dataset, self.possible, cascade=self.spec.cascade, alone=self.spec.alone)

    @cached_property
    def differences(self) -> list[Difference]:
        """Each defence beside no defence, and each with counteraction beside the same without."""
        return make_differences(self.cells, cascade=self.spec.cascade, alone=self.spec.alone)

    def parameters(self, model: str, defence: str) -> list[tuple[str, str]]:
        """Returns the parameters of a defence of one network in words, with the kind of attack that they hold under.

        The kind is `every attack` where the spec makes no difference, else `untargeted attacks` and `targeted attacks`.
        The undefended network has no parameters.

        Args:
            model: The network's label.
            defence: The defence as the tables name it.
        """
        kinds = {False: "untargeted attacks", True: "targeted attacks"}
        found = [(kind, words) for t, kind in kinds.items() if (words := self.defences.get((model, defence, t)))]
        return [("every attack", found[0][1])] if len({words for _, words in found}) == 1 else found


def _whole(shares: Tensor | None) -> bool:
    return shares is not None and not bool(shares.isnan().any())


def write_results(run: Run, folder: Path) -> Path:
    """Writes `results.json` into a folder, atomically, and returns its path.

    Raises:
        UserError: (a ValueError) it cannot be written.
    """
    path = folder / RESULTS
    write_atomically(path, (json.dumps(_content(run), indent=1) + "\n").encode())
    return path


def _content(run: Run) -> dict[str, Any]:
    return {
        "complete": run.complete,
        "missing": run.missing,
        "rows": _as_data(run.rows),
        "worst_cases": _as_data(run.worst_cases),
        "summaries": _as_data(run.summaries),
        "differences": _as_data(run.differences),
        "networks": {label: asdict(note) for label, note in run.networks.items()},
        "defences": [
            {"model": model, "defence": variant.name, "attacks": attacks, "parameters": words}
            for model in run.spec.models
            for variant in run.spec.variants()
            for attacks, words in run.parameters(model, variant.name)
        ],
        "obstacles": [
            {"model": model, "attack": attack, "defence": defence, "why": why}
            for (model, attack, defence), why in run.obstacles.items()
        ],
        "environment": run.environment,
        "spec": run.spec.model_dump(mode="json", by_alias=True),
    }


def _as_data(found: Sequence[Row] | Sequence[WorstCase] | Sequence[Summary] | Sequence[Difference]) -> list[Any]:
    return [asdict(item) for item in found]
