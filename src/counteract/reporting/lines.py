"""What a run found, as the lines of a table: one for each network and defence."""

from __future__ import annotations

from dataclasses import dataclass

from counteract.evaluation.attacks import parse_attack
from counteract.evaluation.record import Run
from counteract.evaluation.scores import Accuracy, Row, Summary, WorstCase, make_row


@dataclass(frozen=True)
class Line:
    """What is known of one network with one defence; what was not measured yet is missing.

    Attributes:
        defence: The defence, as the spec's variants name it.
        rows: The accuracies by attack.
        worst: The accuracy over all attacks of the run, example by example.
        summary: What the attacks come to, oblivious and adaptive ones told apart.
        forwards: The cost of one defended prediction, in forward passes.
        relative_time: Its measured time, in units of one plain forward.
    """

    defence: str
    rows: dict[str, Row]
    worst: WorstCase | None
    summary: Summary | None
    forwards: int | None
    relative_time: float | None


def make_lines(run: Run, model: str) -> list[Line]:
    """The lines of one network, by its label, in the order of the spec."""
    worst = {case.defence: case for case in run.worst_cases if case.model == model}
    summaries = {summary.defence: summary for summary in run.summaries if summary.model == model}
    found = []
    for variant in run.spec.variants():
        cells = [cell for cell in run.measured if (cell.model, cell.defence) == (model, variant.name)]
        rows = {cell.attack: make_row(run.spec.dataset, cell) for cell in cells}
        forwards = cells[0].work if cells else None
        plain = sum(cell.plain_seconds for cell in cells)
        time = sum(cell.seconds for cell in cells) / plain if plain else None
        name = variant.name
        found.append(Line(name, rows, worst.get(name), summaries.get(name), forwards, time))
    return found


def adaptive_attacks(run: Run) -> list[str]:
    """The attacks of a run that know of the defence."""
    return [name for name in run.spec.attacks if parse_attack(name).adaptive]


def describe(run: Run) -> str:
    """One line that says what was measured: networks, dataset, n, seeds, budget."""
    spec = run.spec
    subject = next(iter(spec.models.values())) if len(spec.models) == 1 else f"{len(spec.models)} networks"
    budget = f"eps = {255 * spec.attack.eps:.3g}/255"
    return f"{subject} on {spec.dataset}, n = {examples(run)}, {spec.seeds} seed{'s' * (spec.seeds > 1)}, {budget}"


CASCADE = (
    "The attacks ran in turn, each on the examples that some draw still got right under all attacks before it. An "
    "accuracy is that under all attacks up to this one, and the strongest is the last that found more."
)
"""What must be said beside the accuracies of a cascade."""


def shortcuts(run: Run) -> str:
    """How a run was made faster at the price of exactness; empty if it was not."""
    spec = run.spec
    half = "defended networks in bf16" if spec.precision == "bf16" else ""
    spared = f"executions spared, each label another one with probability {spec.error:g} at most" if spec.error else ""
    return "; ".join(filter(None, (half, spared)))


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


def points(accuracy: Accuracy | None) -> str:
    """An accuracy as the tables have it, with its standard deviation if there are seeds to have one."""
    if accuracy is None:
        return "-"
    return f"{accuracy.accuracy:.1f}" + (f" ±{accuracy.std:.1f}" if accuracy.seeds > 1 else "")


def strongest(summary: Summary | None) -> tuple[str, str]:
    """The accuracy under the strongest adaptive attack, and its interval and name; or that none was measured."""
    if summary is None or summary.adaptive is None:
        return "not measured", ""
    return points(summary.adaptive), f"{interval(summary.adaptive.ci95)}, {summary.strongest}"


def gain(summary: Summary | None) -> tuple[str, str]:
    """The worst case beside the undefended network's: the difference, and its paired interval."""
    if summary is None or summary.gain is None or summary.gain_ci95 is None:
        return "-", ""
    low, high = summary.gain_ci95
    return f"{summary.gain:+.1f}", f"{low:+.1f} to {high:+.1f}"


def interval(ci95: tuple[float, float], digits: int = 1) -> str:
    """A 95% interval of an accuracy."""
    return f"{ci95[0]:.{digits}f}-{ci95[1]:.{digits}f}"
