"""The lines of a run's tables, one for each network and defence, and their numbers as text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from counteract.evaluation.results import Run
from counteract.evaluation.scores import Accuracy, Row, Summary, relative_time

MISSING = "-"
"""The text of a number that was not measured."""


@dataclass(frozen=True)
class Item:
    """A place in a table: a text, and a smaller one under it."""

    text: str = MISSING
    small: str = ""

    def __str__(self) -> str:
        return f"{self.text} ({self.small})" if self.small else self.text


@dataclass(frozen=True)
class Line:
    """One network with one defence; what was not measured is missing.

    Attributes:
        defence: The defence, as the spec's variants name it.
        rows: The accuracies by attack.
        summary: The worth of the attacks together, oblivious and adaptive ones told apart.
        obstacles: The attacks that cannot run, and why.
        passes: The cost of one defended prediction, in forward passes.
        relative_time: Its measured time, in units of one forward pass of the undefended network.
        examples: The number of examples that there are to measure.
        seeds: The number of seeds that there are to measure.
    """

    defence: str
    rows: Mapping[str, Row]
    summary: Summary
    obstacles: Mapping[str, str]
    passes: int | None
    relative_time: float | None
    examples: int
    seeds: int

    def under(self, attack: str) -> Item:
        """Returns the accuracy under an attack."""
        return Item("cannot run") if attack in self.obstacles else self._item(self.rows.get(attack))

    @property
    def clean(self) -> Item:
        """The accuracy on clean images."""
        return self._item(self.summary.clean)

    @property
    def oblivious(self) -> Item:
        """The worst case over the attacks that do not know of the defence."""
        return self._item(self.summary.oblivious)

    @property
    def adaptive(self) -> Item:
        """The accuracy under the strongest attack that does."""
        found = self.summary
        if found.adaptive is None:
            return Item("not measured")
        return self._item(found.adaptive, found.strongest or "")

    @property
    def worst(self) -> Item:
        """The worst case over all attacks."""
        return self._item(self.summary.worst)

    @property
    def undefended(self) -> Item:
        """The worst case over all attacks of the undefended network."""
        return self._item(self.summary.undefended)

    @property
    def gain(self) -> Item:
        """The difference of the two, with its paired interval."""
        found = self.summary
        if found.gain is None or found.gain_ci95 is None:
            return Item()
        return Item(f"{found.gain:+.1f}", ", ".join([_signed(found.gain_ci95), *self._fewer(found.gain_n)]))

    @property
    def any_wrong(self) -> Item:
        """The examples, in percent, that one draw or more under one attack or more got wrong."""
        worst = self.summary.worst
        return Item(f"{worst.any_wrong:.1f}") if worst else Item()

    @property
    def cost(self) -> Item:
        """The forward passes of a prediction."""
        return Item() if self.passes is None else Item(str(self.passes))

    @property
    def time(self) -> Item:
        """The measured time of a prediction."""
        return Item() if self.relative_time is None else Item(f"{self.relative_time:.1f}x")

    def _item(self, accuracy: Accuracy | None, more: str = "") -> Item:
        """Returns an accuracy with its interval, and what it lacks of the run's examples and seeds."""
        if accuracy is None:
            return Item()
        seeds = [f"{accuracy.seeds} of {self.seeds} seeds"] if accuracy.seeds < self.seeds else []
        parts = [interval(accuracy.ci95), more, *self._fewer(accuracy.n), *seeds]
        return Item(points(accuracy), ", ".join(filter(None, parts)))

    def _fewer(self, n: int | None) -> list[str]:
        return [f"n = {n}"] if n is not None and n < self.examples else []


def make_lines(run: Run, model: str) -> list[Line]:
    """Returns the lines of one network, by its label, in the order of the spec."""
    summaries = {summary.defence: summary for summary in run.summaries if summary.model == model}
    found = []
    for variant in run.spec.variants():
        name = variant.name
        cells = [cell for cell in run.measured if (cell.model, cell.defence) == (model, name)]
        line = Line(
            defence=name,
            rows={row.attack: row for row in run.rows if (row.model, row.defence) == (model, name)},
            summary=summaries.get(name, Summary(model, name)),
            obstacles={
                attack: why
                for (label, attack, defence), why in run.obstacles.items()
                if (label, defence) == (model, name)
            },
            passes=cells[0].passes if cells else None,
            relative_time=relative_time(cells),
            examples=run.examples,
            seeds=run.spec.seeds,
        )
        found.append(line)
    return found


def points(accuracy: Accuracy | None) -> str:
    """Returns an accuracy as the tables have it, with its standard deviation if there are seeds to have one."""
    if accuracy is None:
        return MISSING
    return f"{accuracy.accuracy:.1f}" + (f" ±{accuracy.std:.1f}" if accuracy.seeds > 1 else "")


def interval(ci95: tuple[float, float], digits: int = 1) -> str:
    """Returns a 95% interval of an accuracy as text."""
    return f"{ci95[0]:.{digits}f}-{ci95[1]:.{digits}f}"


def whole_interval(accuracy: Accuracy) -> str:
    """Returns a 95% interval in whole percents, in which the accuracy as it is printed lies: 0.1 in 0-1, not in 0-0."""
    estimate = round(accuracy.accuracy, 1)
    low, high = (float(round(end)) for end in accuracy.ci95)
    return interval((min(low, math.floor(estimate)), max(high, math.ceil(estimate))), 0)


def difference(points: float | None, ci95: tuple[float, float] | None) -> Item:
    """Returns a difference of accuracies, with its interval if there is one."""
    return Item() if points is None else Item(f"{points:+.1f}", _signed(ci95) if ci95 else "")


def _signed(ci95: tuple[float, float]) -> str:
    return f"{ci95[0]:+.1f} to {ci95[1]:+.1f}"
