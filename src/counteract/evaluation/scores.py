"""Accuracies with their uncertainty: from which examples were classified correctly to the rows of a report."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from counteract.evaluation.attacks import NONE as NO_ATTACK
from counteract.evaluation.attacks import parse_attack
from counteract.evaluation.defences import NONE as NO_DEFENCE

Z95 = 1.959963984540054
"""The 97.5% quantile of the standard normal distribution."""


def wilson(successes: float, n: int, z: float = Z95) -> tuple[float, float]:
    """The Wilson score interval of a proportion, as fractions.

    Args:
        successes: How many of the `n` succeeded; a mean over seeds may be fractional.
        n: How many there were, at least one.
        z: The normal quantile; the default gives 95%.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.
    """
    p = successes / n
    centre = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


@dataclass
class Cell:
    """What is measured of one network with one defence under one attack.

    Attributes:
        model: The network's label.
        attack: The attack's name.
        defence: The defence's name.
        executions: How many executions the defence averages.
        work: Forward-equivalents of one defended prediction.
        correct: By seed, which examples were classified correctly: bool, shape (N,); judged by several draws, the share
            of them in which each was, float64.
        seconds: The time that all of these predictions took.
        plain_seconds: The time that the bare network takes for as many, in the same process.
    """

    model: str
    attack: str
    defence: str
    executions: int = 0
    work: int = 0
    correct: dict[int, Tensor] = field(default_factory=dict)
    seconds: float = 0.0
    plain_seconds: float = 0.0

    def add(self, seed: int, correct: Tensor, seconds: float, plain_seconds: float) -> None:
        """Adds one seed's measurement."""
        self.correct[seed] = correct
        self.seconds += seconds
        self.plain_seconds += plain_seconds


@dataclass(frozen=True)
class Accuracy:
    """A mean accuracy over seeds.

    Attributes:
        seeds: How many seeds.
        n: How many examples, the same for each seed.
        accuracy: The mean over seeds and draws, in percent.
        std: The standard deviation over seeds, in points; 0 for a single seed.
        ci95: The Wilson 95% interval for `n` examples, in percent: how far other examples could move the mean.
    """

    seeds: int
    n: int
    accuracy: float
    std: float
    ci95: tuple[float, float]

    @classmethod
    def of(cls, correct: Sequence[Tensor]) -> Accuracy:
        """Scores which examples were classified correctly, or in which share of the draws, seed by seed."""
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
        model: The network's name.
        attack: The attack's name.
        defence: The defence's name.
        executions: How many executions the defence averages.
        forward_equivalents: The cost of one defended prediction, in forward passes of the network.
        seconds: The measured time of all defended predictions.
        relative_time: That time in units of the bare network's for the same images in the same process; 0 where a
            cascade had no image left.
        any_wrong: How many examples, in percent, one draw or more classified wrongly; the mean over seeds.
    """

    dataset: str
    model: str
    attack: str
    defence: str
    executions: int
    forward_equivalents: int
    seconds: float
    relative_time: float
    any_wrong: float


@dataclass(frozen=True)
class WorstCase(Accuracy):
    """The accuracy of one network with one defence where every example meets the attack that is worst for it.

    Attributes:
        dataset: The dataset's name.
        model: The network's label.
        defence: The defence.
        attacks: The attacks; the worst for an example is that under which the fewest draws are right.
        any_wrong: How many examples, in percent, one draw or more under one attack or more classified wrongly.
    """

    dataset: str
    model: str
    defence: str
    attacks: tuple[str, ...]
    any_wrong: float


@dataclass(frozen=True)
class Difference:
    """By how much one defence is more accurate than another on the same examples under the same attack.

    Attributes:
        model: The network's label.
        attack: The attack's name.
        defence: The defence.
        baseline: The defence that it is compared with.
        points: The difference of the mean accuracies over the seeds that both have, in points.
        ci95: Its paired 95% interval: how far other examples could move it.
    """

    model: str
    attack: str
    defence: str
    baseline: str
    points: float
    ci95: tuple[float, float]


def paired_difference(better: Sequence[Tensor], worse: Sequence[Tensor]) -> tuple[float, tuple[float, float]]:
    """The difference of two accuracies on the same examples and its 95% interval, in points.

    Args:
        better: For each seed which examples were classified correctly: bool, shape (N,), or shares of draws.
        worse: Likewise for the same seeds.

    Source: Bonett and Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on
    paired data", JEBS 2012; for several seeds the discordant counts are means over seeds. Where examples count by
    shares of draws, the interval is wider than need be, because a difference of d then varies by less than sqrt(d).
    """
    changes = [a.double() - b.double() for a, b in zip(better, worse, strict=True)]
    n = len(better[0])
    gained = statistics.fmean(float(change.clamp(min=0).sum()) for change in changes)
    lost = statistics.fmean(float((-change).clamp(min=0).sum()) for change in changes)
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = Z95 * math.sqrt(max(0.0, up + down - (up - down) ** 2) / (n + 2))
    bounds = max(-1.0, up - down - half), min(1.0, up - down + half)
    return 100 * (gained - lost) / n, (100 * bounds[0], 100 * bounds[1])


def compare(cell: Cell, baseline: Cell) -> Difference:
    """The paired difference of two defences of one network under one attack; they must share a seed."""
    seeds = sorted(cell.correct.keys() & baseline.correct.keys())
    points, bounds = paired_difference([cell.correct[s] for s in seeds], [baseline.correct[s] for s in seeds])
    return Difference(cell.model, cell.attack, cell.defence, baseline.defence, points, bounds)


def make_row(dataset: str, cell: Cell) -> Row:
    """The row of a cell that has at least one seed."""
    return Row(
        **vars(Accuracy.of(list(cell.correct.values()))),
        dataset=dataset,
        model=cell.model,
        attack=cell.attack,
        defence=cell.defence,
        executions=cell.executions,
        forward_equivalents=cell.work,
        seconds=cell.seconds,
        relative_time=cell.seconds / cell.plain_seconds if cell.plain_seconds else 0.0,
        any_wrong=_any_wrong(list(cell.correct.values())),
    )


def _any_wrong(correct: Sequence[Tensor]) -> float:
    """How many examples, in percent, are not right in all draws: the mean over seeds."""
    return statistics.fmean(100 * float((seed < 1).double().mean()) for seed in correct)


def make_worst_cases(dataset: str, cells: Iterable[Cell]) -> list[WorstCase]:
    """For each network and defence the accuracy over all attacks, example by example and seed by seed.

    Of a defence whose attacks have not all been measured with the same seeds, only the seeds that all have count.
    """
    cases = (worst_case(dataset, group) for group in _by_defence(cells))
    return [case for case in cases if case is not None]


def worst_case(dataset: str, cells: Sequence[Cell]) -> WorstCase | None:
    """The accuracy over some attacks on one network with one defence; None if no seed has them all."""
    found = list(survived(cells).values())
    if not found:
        return None
    return WorstCase(
        **vars(Accuracy.of(found)),
        dataset=dataset,
        model=cells[0].model,
        defence=cells[0].defence,
        attacks=tuple(cell.attack for cell in cells),
        any_wrong=_any_wrong(found),
    )


def survived(cells: Sequence[Cell]) -> dict[int, Tensor]:
    """By seed, in which share of the draws each example is right under the attack that is worst for it: float64."""
    seeds = sorted(set.intersection(*(set(cell.correct) for cell in cells))) if cells else []
    return {seed: torch.stack([cell.correct[seed].double() for cell in cells]).amin(0) for seed in seeds}


def _by_defence(cells: Iterable[Cell]) -> list[list[Cell]]:
    """The cells of each network and defence."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.model, cell.defence), []).append(cell)
    return list(groups.values())


@dataclass(frozen=True)
class Summary:
    """What one network with one defence is worth; None is what was not measured.

    Attributes:
        model: The network's label.
        defence: The defence.
        clean: The accuracy on clean images.
        oblivious: The worst case over the attacks that do not know of the defence, the clean images included.
        adaptive: The accuracy under the strongest of those that do.
        strongest: That attack.
        worst: The worst case over all attacks.
        static: The worst case over all attacks of the network without a defence.
        gain: By how much `worst` is better than `static`, in points.
        gain_ci95: Its paired 95% interval.
    """

    model: str
    defence: str
    clean: Accuracy | None
    oblivious: Accuracy | None
    adaptive: Accuracy | None
    strongest: str | None
    worst: WorstCase | None
    static: WorstCase | None
    gain: float | None
    gain_ci95: tuple[float, float] | None


def make_summaries(dataset: str, cells: Iterable[Cell]) -> list[Summary]:
    """For each network and defence what its attacks come to."""
    groups = _by_defence(cells)
    static = {group[0].model: group for group in groups if group[0].defence == NO_DEFENCE}
    return [_summarise(dataset, group, static.get(group[0].model, [])) for group in groups]


def _summarise(dataset: str, cells: Sequence[Cell], static: Sequence[Cell]) -> Summary:
    clean = next((cell for cell in cells if cell.attack == NO_ATTACK and cell.correct), None)
    adaptive = [make_row(dataset, cell) for cell in cells if parse_attack(cell.attack).adaptive and cell.correct]
    strongest = min(adaptive, key=lambda row: row.accuracy, default=None)
    mine, without = survived(cells), survived(static)
    seeds = sorted(mine.keys() & without.keys())
    compared = bool(seeds) and cells[0].defence != NO_DEFENCE
    gain = paired_difference([mine[s] for s in seeds], [without[s] for s in seeds]) if compared else (None, None)
    return Summary(
        model=cells[0].model,
        defence=cells[0].defence,
        clean=make_row(dataset, clean) if clean else None,
        oblivious=worst_case(dataset, [cell for cell in cells if not parse_attack(cell.attack).adaptive]),
        adaptive=strongest,
        strongest=strongest.attack if strongest else None,
        worst=worst_case(dataset, cells),
        static=worst_case(dataset, static),
        gain=gain[0],
        gain_ci95=gain[1],
    )


def make_differences(cells: Iterable[Cell]) -> list[Difference]:
    """Compares each defence with no defence, and each that begins with counteraction with the same without it."""
    by_name = {(cell.model, cell.attack, cell.defence): cell for cell in cells}
    found = []
    for (model, attack, defence), cell in by_name.items():
        first, _, rest = defence.partition("+")
        baselines = {"none", rest if first.startswith("counteraction") else ""} - {defence}
        for baseline in sorted(baselines):
            other = by_name.get((model, attack, baseline))
            if other is not None and cell.correct.keys() & other.correct.keys():
                found.append(compare(cell, other))
    return found
