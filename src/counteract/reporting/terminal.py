"""What the terminal shows of a run: one table, and what must be said beside it."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from counteract.evaluation.record import Run
from counteract.models.eligibility import NOT_ELIGIBLE
from counteract.models.robustbench import PREFIX
from counteract.reporting.lines import Line, describe, interval, make_lines, points, progress

FOOTNOTE = (
    "Accuracy in percent. The attacks are oblivious: made on the bare network by an attacker who does not know of the "
    "defence. Accuracy under an adaptive attacker, who does, was not measured here; it is what a defence is worth."
)
"""What must be said beside every table of oblivious accuracies."""


def accuracy_table(run: Run) -> Table:
    """A row for each network and defence, a column for each attack, the worst case over these, and the costs."""
    spec = run.spec
    title = f"{spec.title}\n{describe(run)}" if spec.title else describe(run)
    table = Table(title=escape(title), title_justify="left", box=box.SIMPLE)
    table.add_column("defence")
    for attack in spec.attacks:
        table.add_column(attack.replace("-", "\n"), justify="right")
    table.add_column("worst of these\n(95% interval)", justify="right")
    table.add_column("cost in\nforwards", justify="right")
    table.add_column("in\ntime", justify="right")
    for model in spec.models:
        if len(spec.models) > 1:
            table.add_section()
            table.add_row(f"[bold]{escape(model)}")
        for line in make_lines(run, model):
            table.add_row(escape(line.defence), *_cells(line, spec.attacks))
    return table


def notes(run: Run) -> list[str]:
    """What must be said beside the accuracies of this run."""
    found = [FOOTNOTE]
    if any(name.startswith(PREFIX) for name in run.spec.models.values()):
        found.append(NOT_ELIGIBLE)
    if not run.complete:
        found.append(f"This run is {progress(run)}.")
    return found


def print_run(run: Run) -> None:
    """Prints the table of a run and what must be said beside it."""
    console = Console()
    if not console.is_terminal:
        console.width = 160  # in a file or a pipe nothing limits the width
    console.print(accuracy_table(run))
    for note in notes(run):
        console.print(note, highlight=False, markup=False)


def _cells(line: Line, attacks: tuple[str, ...]) -> list[str]:
    """What the table says of one defence of one network."""
    worst = line.worst
    return [
        *(points(line.rows.get(attack)) for attack in attacks),
        f"{points(worst)} ({interval(worst.ci95, 0)})" if worst else "-",
        "-" if line.forwards is None else str(line.forwards),
        "-" if line.relative_time is None else f"{line.relative_time:.1f}x",
    ]
