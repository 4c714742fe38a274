"""Accuracies with their uncertainty: from which examples were classified correctly to the rows of a report."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

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
        correct: By seed, which examples were classified correctly: bool, shape (N,).
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
        accuracy: The mean over seeds, in percent.
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
        """Scores which examples were classified correctly, seed by seed."""
        n = len(correct[0])
        hits = [int(seed.sum()) for seed in correct]
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
        relative_time: That time in units of the bare network's for the same images in the same process.
    """

    dataset: str
    model: str
    attack: str
    defence: str
    executions: int
    forward_equivalents: int
    seconds: float
    relative_time: float


@dataclass(frozen=True)
class WorstCase(Accuracy):
    """The accuracy of one network with one defence where every example meets the attack that is worst for it."""

    dataset: str
    model: str
    defence: str
    attacks: tuple[str, ...]


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
        better: For each seed which examples were classified correctly: bool, shape (N,).
        worse: Likewise for the same seeds.

    Source: Bonett and Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on
    paired data", JEBS 2012; for several seeds the discordant counts are means over seeds.
    """
    pairs = list(zip(better, worse, strict=True))
    n = len(better[0])
    gained = statistics.fmean(int((a & ~b).sum()) for a, b in pairs)
    lost = statistics.fmean(int((b & ~a).sum()) for a, b in pairs)
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
        relative_time=cell.seconds / cell.plain_seconds,
    )


def make_worst_cases(dataset: str, cells: Iterable[Cell]) -> list[WorstCase]:
    """For each network and defence the accuracy over all attacks, example by example and seed by seed.

    Of a defence whose attacks have not all been measured with the same seeds, only the seeds that all have count.
    """
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.model, cell.defence), []).append(cell)
    found = []
    for (model, defence), group in groups.items():
        seeds = sorted(set.intersection(*(set(cell.correct) for cell in group)))
        if not seeds:
            continue
        survived = [torch.stack([cell.correct[seed] for cell in group]).all(0) for seed in seeds]
        attacks = tuple(cell.attack for cell in group)
        found.append(
            WorstCase(**vars(Accuracy.of(survived)), dataset=dataset, model=model, defence=defence, attacks=attacks)
        )
    return found


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
