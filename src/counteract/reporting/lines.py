"""What a run found, as the lines of a table: one for each network and defence."""

from __future__ import annotations

from dataclasses import dataclass

from counteract.evaluation.record import Run
from counteract.evaluation.scores import Row, WorstCase, make_row


@dataclass(frozen=True)
class Line:
    """What is known of one network with one defence; what was not measured yet is missing.

    Attributes:
        defence: The defence, as the spec's variants name it.
        rows: The accuracies by attack.
        worst: The accuracy over all attacks of the run, example by example.
        forwards: The cost of one defended prediction, in forward passes.
        relative_time: Its measured time, in units of one plain forward.
    """

    defence: str
    rows: dict[str, Row]
    worst: WorstCase | None
    forwards: int | None
    relative_time: float | None


def make_lines(run: Run, model: str) -> list[Line]:
    """The lines of one network, by its label, in the order of the spec."""
    worst = {case.defence: case for case in run.worst_cases if case.model == model}
    found = []
    for variant in run.spec.variants():
        cells = [cell for cell in run.measured if (cell.model, cell.defence) == (model, variant.name)]
        rows = {cell.attack: make_row(run.spec.dataset, cell) for cell in cells}
        forwards = cells[0].work if cells else None
        plain = sum(cell.plain_seconds for cell in cells)
        time = sum(cell.seconds for cell in cells) / plain if plain else None
        found.append(Line(variant.name, rows, worst.get(variant.name), forwards, time))
    return found


def describe(run: Run) -> str:
    """One line that says what was measured: networks, dataset, n, seeds, budget."""
    spec = run.spec
    subject = next(iter(spec.models.values())) if len(spec.models) == 1 else f"{len(spec.models)} networks"
    budget = f"eps = {255 * spec.attack.eps:.3g}/255"
    return f"{subject} on {spec.dataset}, n = {examples(run)}, {spec.seeds} seed{'s' * (spec.seeds > 1)}, {budget}"


def examples(run: Run) -> str:
    """How many test images, as far as the run can say."""
    measured = run.measured
    if measured:
        return str(len(next(iter(measured[0].correct.values()))))
    return str(run.spec.limit or "all")


def progress(run: Run) -> str:
    """Whether the run is complete, or how far it is."""
    done, wanted = sum(len(cell.correct) for cell in run.cells), len(run.cells) * run.spec.seeds
    if run.complete:
        return f"complete: all {wanted} measurements (network x attack x defence x seed)"
    return f"unfinished: {done} of {wanted} measurements (network x attack x defence x seed)"


def points(accuracy: Row | WorstCase | None) -> str:
    """An accuracy as the tables have it, with its standard deviation if there are seeds to have one."""
    if accuracy is None:
        return "-"
    return f"{accuracy.accuracy:.1f}" + (f" ±{accuracy.std:.1f}" if accuracy.seeds > 1 else "")


def interval(ci95: tuple[float, float], digits: int = 1) -> str:
    """A 95% interval of an accuracy."""
    return f"{ci95[0]:.{digits}f}-{ci95[1]:.{digits}f}"
