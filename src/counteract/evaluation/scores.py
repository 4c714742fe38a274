"""Accuracies with their uncertainty: from which examples were classified correctly to the rows of a report.

An example that was not measured is NaN. Every statistic is about the examples that are measured in all that it
combines, and says how many they are; where there are none there is no statistic.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from counteract._statistics import paired_difference, wilson
from counteract.attacks.base import CLEAN
from counteract.attacks.registry import recorded_attack
from counteract.defences import UNDEFENDED
from counteract.evaluation.cascades import comparable, met_alike, oblivious
from counteract.evaluation.cells import Cell, in_all
from counteract.evaluation.worst_cases import least, survived


@dataclass(frozen=True)
class Accuracy:
    """A mean accuracy over seeds.

    Attributes:
        seeds: The number of seeds.
        n: The number of examples, the same for each seed.
        accuracy: The mean over seeds and draws, in percent.
        std: The standard deviation over seeds, in points; 0 for a single seed.
        ci95: The Wilson 95% interval for `n` examples, in percent: the range of the mean on other examples.
    """

    seeds: int
    n: int
    accuracy: float
    std: float
    ci95: tuple[float, float]

    @classmethod
    def of(cls, correct: Sequence[Tensor]) -> Accuracy:
        """Scores the shares of right draws, seed by seed, of one measured example or more."""
        n = len(correct[0])
        hits = [float(seed.sum(dtype=torch.float64)) for seed in correct]
        mean = statistics.fmean(hits)
        low, high = wilson(mean, n)
        std = statistics.stdev(hits) if len(hits) > 1 else 0.0
        return cls(len(correct), n, 100 * mean / n, 100 * std / n, (100 * low, 100 * high))


@dataclass(frozen=True)
class Row(Accuracy):
    """The accuracy of one network with one defence under one attack, and what it cost.

    Attributes:
        dataset: The dataset's name.
        model: The network's label.
        attack: The attack's name.
        defence: The defence as the tables name it.
        executions: The number of executions that the defence averages.
        forward_passes: The cost of one defended prediction, in forward passes of the network.
        seconds: The measured time of all defended predictions.
        relative_time: That time in units of the undefended network's for the same images in the same process; 0 where a
            cascade had no image left.
        any_wrong: The examples, in percent, that one draw or more classified wrongly; the mean over seeds.
        unusable: The number of answers that were not finite, and so count as wrong.
        attack_passes: The forward passes that the attack took for an example, a backward pass counting as one; None
            where they were not counted.
        projected: The number of adversarial images that lay outside of the threat model and were projected onto it.
    """

    dataset: str
    model: str
    attack: str
    defence: str
    executions: int
    forward_passes: int
    seconds: float
    relative_time: float
    any_wrong: float
    unusable: int
    attack_passes: float | None
    projected: int


@dataclass(frozen=True)
class WorstCase(Accuracy):
    """The accuracy of one network with one defence where every example meets the attack that is worst for it.

    Attributes:
        dataset: The dataset's name.
        model: The network's label.
        defence: The defence as the tables name it.
        attacks: The attacks; `survived` says which is the worst for an example.
        any_wrong: The examples, in percent, that one draw or more under one attack or more classified wrongly.
    """

    dataset: str
    model: str
    defence: str
    attacks: tuple[str, ...]
    any_wrong: float


@dataclass(frozen=True)
class Paired:
    """The difference of two accuracies on the same examples.

    Attributes:
        seeds: The number of seeds that both have.
        n: The number of examples that both have with all of these seeds.
        points: The difference of the mean accuracies, in points.
        ci95: Its paired 95% interval: the range in which other examples could put it.
    """

    seeds: int
    n: int
    points: float
    ci95: tuple[float, float]


@dataclass(frozen=True)
class Difference(Paired):
    """The gain in accuracy of one defence over another on the same examples under the same attack.

    Attributes:
        model: The network's label.
        attack: The attack's name.
        defence: The defence.
        baseline: The defence that it is compared with.
    """

    model: str
    attack: str
    defence: str
    baseline: str


@dataclass(frozen=True)
class Summary:
    """The worth of one network with one defence; None is what was not measured.

    Attributes:
        model: The network's label.
        defence: The defence as the tables name it.
        clean: The accuracy on clean images.
        oblivious: The worst case over the attacks that do not know of the defence, the clean images included.
        adaptive: The accuracy under the strongest of those that do.
        strongest: That attack.
        worst: The worst case over all attacks.
        undefended: The worst case over all attacks of the undefended network.
        gain: The difference of `worst` and `undefended` on the examples that both have, in points.
        gain_ci95: Its paired 95% interval.
        gain_n: The number of these examples.
    """

    model: str
    defence: str
    clean: Accuracy | None = None
    oblivious: WorstCase | None = None
    adaptive: Accuracy | None = None
    strongest: str | None = None
    worst: WorstCase | None = None
    undefended: WorstCase | None = None
    gain: float | None = None
    gain_ci95: tuple[float, float] | None = None
    gain_n: int | None = None


def paired(better: Mapping[int, Tensor], worse: Mapping[int, Tensor]) -> Paired | None:
    """Returns the difference of two sets of shares by seed, or None if they have no example in common.

    Args:
        better: By seed the share of right draws of every example, NaN where it was not measured.
        worse: Likewise, of the same examples.
    """
    seeds = sorted(better.keys() & worse.keys())
    both = in_all([*(better[seed] for seed in seeds), *(worse[seed] for seed in seeds)])
    if not both or not len(both[0]):
        return None
    points, bounds = paired_difference(both[: len(seeds)], both[len(seeds) :])
    return Paired(len(seeds), len(both[0]), points, bounds)


def compare(cell: Cell, baseline: Cell) -> Difference | None:
    """Returns the paired difference of two defences of one network under one attack, or None without any to pair."""
    found = paired(cell.measured, baseline.measured)
    if found is None:
        return None
    return Difference(
        **vars(found), model=cell.model, attack=cell.attack, defence=cell.defence, baseline=baseline.defence
    )


def make_row(dataset: str, cell: Cell) -> Row | None:
    """Returns the row of a cell, over the examples that every seed has which has any; None if they have none."""
    found = in_all(list(cell.measured.values()))
    if not found or not len(found[0]):
        return None
    return Row(
        **vars(Accuracy.of(found)),
        dataset=dataset,
        model=cell.model,
        attack=cell.attack,
        defence=cell.defence,
        executions=cell.executions,
        forward_passes=cell.passes,
        seconds=cell.seconds,
        relative_time=relative_time([cell]) or 0.0,
        any_wrong=_any_wrong(found),
        unusable=cell.unusable,
        attack_passes=cell.attack_passes / cell.attacked if cell.attacked else None,
        projected=cell.projected,
    )


def relative_time(cells: Sequence[Cell]) -> float | None:
    """Returns the time of defended predictions in units of the undefended network's, which by definition is its own.

    None where it was not measured.
    """
    undefended = sum(cell.undefended_seconds for cell in cells)
    if not undefended:
        return None
    if all(cell.defence == UNDEFENDED and cell.passes == 1 for cell in cells):
        return 1.0
    return sum(cell.seconds for cell in cells) / undefended


def _any_wrong(correct: Sequence[Tensor]) -> float:
    """Returns the examples, in percent, that are not right in all draws: the mean over seeds."""
    return statistics.fmean(100 * float((seed < 1).double().mean()) for seed in correct)


def make_worst_cases(dataset: str, cells: Iterable[Cell]) -> list[WorstCase]:
    """Returns for each network and defence the accuracy over all attacks, example by example and seed by seed.

    Only the seeds count that all attacks have, and of these only the examples that all have.
    """
    cases = (worst_case(dataset, group) for group in _by_defence(cells))
    return [case for case in cases if case is not None]


def worst_case(dataset: str, cells: Sequence[Cell]) -> WorstCase | None:
    """Returns the accuracy over some attacks on one network with one defence; None if no example has them all."""
    found = in_all(list(survived(cells).values()))
    if not found or not len(found[0]):
        return None
    return WorstCase(
        **vars(Accuracy.of(found)),
        dataset=dataset,
        model=cells[0].model,
        defence=cells[0].defence,
        attacks=tuple(cell.attack for cell in cells),
        any_wrong=_any_wrong(in_all(list(least(cells).values()))),
    )


def make_summaries(
    dataset: str, cells: Iterable[Cell], *, cascade: bool = False, alone: Collection[str] = ()
) -> list[Summary]:
    """Returns for each network and defence what its attacks come to, beside the undefended network.

    Args:
        dataset: The dataset's name.
        cells: The cells, those of a cascade in its order.
        cascade: True where attacks ran in turn, so that an accuracy is that under all attacks up to it.
        alone: The attacks that tried every example all the same.
    """
    groups = _by_defence(cells)
    undefended = {group[0].model: group for group in groups if group[0].defence == UNDEFENDED}
    found = []
    for group in groups:
        beside = comparable(undefended.get(group[0].model, []), group, cascade=cascade)
        found.append(_summarise(dataset, group, beside, oblivious(group, cascade=cascade, alone=alone)))
    return found


def _summarise(dataset: str, cells: Sequence[Cell], undefended: Sequence[Cell], unaware: Sequence[Cell]) -> Summary:
    rows = [row for row in (make_row(dataset, cell) for cell in cells) if row is not None]
    strongest = min(
        (row for row in rows if recorded_attack(row.attack).adaptive), key=lambda row: row.accuracy, default=None
    )
    defended = cells[0].defence != UNDEFENDED
    gain = paired(survived(cells), survived(undefended)) if defended else None
    return Summary(
        model=cells[0].model,
        defence=cells[0].defence,
        clean=next((row for row in rows if row.attack == CLEAN), None),
        oblivious=worst_case(dataset, unaware),
        adaptive=strongest,
        strongest=strongest.attack if strongest else None,
        worst=worst_case(dataset, cells),
        undefended=worst_case(dataset, undefended),
        gain=gain.points if gain else None,
        gain_ci95=gain.ci95 if gain else None,
        gain_n=gain.n if gain else None,
    )


def _by_defence(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Returns the cells of each network and defence."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.model, cell.defence), []).append(cell)
    return list(groups.values())


def make_differences(cells: Iterable[Cell], *, cascade: bool = False, alone: Collection[str] = ()) -> list[Difference]:
    """Compares each defence with no defence, and each that begins with counteraction with the same without it.

    Args:
        cells: The cells, those of a cascade in its order.
        cascade: True where attacks ran in turn. Two that met other attacks before are not compared.
        alone: The attacks that tried every example all the same.
    """
    cells = [cell for cell in cells if cell.measured]
    groups = {(group[0].model, group[0].defence): group for group in _by_defence(cells)}
    by_name = {(cell.model, cell.attack, cell.defence): cell for cell in cells}
    found = []
    for (model, attack, defence), cell in by_name.items():
        first, _, rest = defence.partition("+")
        baselines = {UNDEFENDED, rest if first.startswith("counteraction") else ""} - {defence}
        for baseline in sorted(baselines):
            other = by_name.get((model, attack, baseline))
            if other is not None and (
                not cascade or attack in alone or met_alike(attack, groups[model, defence], groups[model, baseline])
            ):
                found.append(compare(cell, other))
    return [difference for difference in found if difference is not None]
