"""The tables of the Markdown and the HTML report, as text: the same in both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from counteract.defences import UNDEFENDED
from counteract.evaluation.results import Run
from counteract.evaluation.scores import Difference
from counteract.reporting.lines import Item, Line, difference, interval, make_lines, points
from counteract.reporting.paper.figures import Beside, beside
from counteract.reporting.paper.verdicts import Assessment
from counteract.reporting.words import adaptive_attacks, counted


@dataclass(frozen=True)
class Grid:
    """A table of texts; its first columns are words, the others numbers."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Item, ...], ...]
    words: int = 1


def accuracies(run: Run) -> list[Grid]:
    """Returns for each network its defences under every attack, with worst case and costs."""
    adaptive, several = bool(adaptive_attacks(run)), run.spec.draws > 1
    more = ["worst case", "gain"] * adaptive + ["any wrong"] * several
    header = ("defence", "oblivious worst case", "adaptive", "undefended", *more, *run.spec.attacks)
    costs = ("forward passes", "time")

    def row(line: Line) -> tuple[Item, ...]:
        found = [line.oblivious, line.adaptive, Item(line.undefended.text)]
        found += [line.worst, line.gain] * adaptive + [line.any_wrong] * several
        return (Item(line.defence), *found, *map(line.under, run.spec.attacks), line.cost, line.time)

    return [Grid(model, header + costs, tuple(map(row, make_lines(run, model)))) for model in run.spec.models]


def parameters(run: Run) -> list[Grid]:
    """Returns for each network the parameters of its defences."""
    grids = []
    for model in run.spec.models:
        rows = tuple(
            (Item(variant.name), Item(kind), Item(words))
            for variant in run.spec.variants()
            for kind, words in run.parameters(model, variant.name)
        )
        grids.append(Grid(model, ("defence", "under", "parameters"), rows, words=3))
    return [grid for grid in grids if grid.rows]


def gains(run: Run) -> list[Grid]:
    """Returns for each network the gain of each defence from counteraction, under every attack."""
    found: dict[str, dict[str, dict[str, Difference]]] = {}
    for each in filter(_is_gain, run.differences):
        found.setdefault(each.model, {}).setdefault(each.defence, {})[each.attack] = each
    header = ("defence", *run.spec.attacks)
    return [
        Grid(model, header, tuple(_gains(defence, given, run.spec.attacks) for defence, given in rows.items()))
        for model, rows in found.items()
    ]


def _is_gain(difference: Difference) -> bool:
    """Returns True if only counteraction tells the two defences apart."""
    first, _, rest = difference.defence.partition("+")
    return first.startswith("counteraction") and difference.baseline == (rest or UNDEFENDED)


def _gains(defence: str, given: dict[str, Difference], attacks: Sequence[str]) -> tuple[Item, ...]:
    found = [given.get(attack) for attack in attacks]
    return (Item(defence), *(difference(each.points, each.ci95) if each else Item() for each in found))


def paper_beside_measured(run: Run) -> list[Grid]:
    """Returns for each network the published accuracies with the measured ones and the differences."""
    header = ("defence", "attack", "paper", "measured", "difference")
    rows: dict[str, list[tuple[Item, ...]]] = {model: [] for model in run.spec.models}
    for item in beside(run):
        rows[item.published.selector.model].append(_beside(item))
    return [Grid(model, header, tuple(found), words=2) for model, found in rows.items() if found]


def _beside(item: Beside) -> tuple[Item, ...]:
    measured, selector = item.measured, item.published.selector
    return (
        Item(selector.defence),
        Item(selector.attack),
        Item(item.published.text),
        Item(points(measured), interval(measured.ci95) if measured else ""),
        difference(item.difference, None),
    )


def summary(assessments: Iterable[Assessment]) -> list[str]:
    """Returns how many of the paper's claims hold; nothing if there are none."""
    theirs = [found for found in assessments if not found.claim.ours]
    if not theirs:
        return []
    return [
        f"The paper's claims in its own figures: {counted(found.paper.outcome for found in theirs)}.",
        f"The same as measured here: {counted(found.measured.outcome for found in theirs)}.",
    ]
