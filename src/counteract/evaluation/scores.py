"""Accuracies with their uncertainty: from which examples were classified correctly to the rows of a report."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
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
    """What is measured of one attack against one defence.

    Attributes:
        attack: The attack's name.
        defence: The defence's name.
        executions: How many executions the defence averages.
        work: Forward-equivalents of one defended prediction.
        correct: For each seed, which examples were classified correctly: bool, shape (N,).
        seconds: The time that all predictions took.
    """

    attack: str
    defence: str
    executions: int
    work: int
    correct: list[Tensor] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, correct: Tensor, seconds: float) -> None:
        """Adds one seed's measurement."""
        self.correct.append(correct)
        self.seconds += seconds


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
    def of(cls, correct: list[Tensor]) -> Accuracy:
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
    """

    dataset: str
    model: str
    attack: str
    defence: str
    executions: int
    forward_equivalents: int
    seconds: float


@dataclass(frozen=True)
class WorstCase(Accuracy):
    """The accuracy of one network with one defence where every example meets the attack that is worst for it."""

    dataset: str
    model: str
    defence: str
    attacks: tuple[str, ...]


def make_row(dataset: str, model: str, cell: Cell) -> Row:
    """The row of a cell."""
    return Row(
        **vars(Accuracy.of(cell.correct)),
        dataset=dataset,
        model=model,
        attack=cell.attack,
        defence=cell.defence,
        executions=cell.executions,
        forward_equivalents=cell.work,
        seconds=cell.seconds,
    )


def make_worst_cases(dataset: str, model: str, cells: Iterable[Cell]) -> list[WorstCase]:
    """For each defence the accuracy over all attacks, example by example and seed by seed."""
    by_defence: dict[str, list[Cell]] = {}
    for cell in cells:
        by_defence.setdefault(cell.defence, []).append(cell)
    return [
        WorstCase(
            **vars(Accuracy.of([torch.stack(seed).all(0) for seed in zip(*(c.correct for c in group), strict=True)])),
            dataset=dataset,
            model=model,
            defence=defence,
            attacks=tuple(cell.attack for cell in group),
        )
        for defence, group in by_defence.items()
    ]
