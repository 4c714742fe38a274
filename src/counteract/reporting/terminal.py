"""What the terminal shows of a run: one table, and what must be said beside it."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from counteract.evaluation.record import Run
from counteract.models.eligibility import NOT_ELIGIBLE
from counteract.models.robustbench import PREFIX
from counteract.reporting.lines import (
    CASCADE,
    Line,
    adaptive_attacks,
    describe,
    gain,
    interval,
    make_lines,
    points,
    progress,
    shortcuts,
    strongest,
)

FOOTNOTE = (
    "Accuracy in percent. The attacks are oblivious: made on the bare network by an attacker who does not know of the "
    "defence. Accuracy under an adaptive attacker, who does, was not measured here; it is what a defence is worth."
)
"""What must be said beside every table of oblivious accuracies."""

ADAPTIVE = (
    "Accuracy in percent. Oblivious attacks were made on the bare network; adaptive ones know the defence, and but for "
    "`fixed` not the draws that judge them; the strongest is named. The worst case is over all of them, example by "
    "example. What a defence is worth is how far its worst case lies above that of the network without one; a stronger "
    "attack than these can only lower it."
)
"""What must be said beside a table that has adaptive accuracies too."""


_FEW = 10
"""Up to so many attacks have columns of their own."""


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


def attack_table(run: Run, model: str) -> Table:
    """The same of one network with a row for each attack and a column for each defence: for runs of many attacks."""
    lines = make_lines(run, model)
    table = Table(title=escape(f"{model}: accuracy under each attack"), title_justify="left", box=box.SIMPLE)
    table.add_column("attack")
    for line in lines:
        table.add_column(escape(line.defence.replace("+", "+\n")), justify="right")
    for attack in run.spec.attacks:
        table.add_row(attack, *(points(line.rows.get(attack)) for line in lines))
    table.add_section()
    table.add_row("cost in forwards", *("-" if line.forwards is None else str(line.forwards) for line in lines))
    table.add_row("in time", *("-" if line.relative_time is None else f"{line.relative_time:.1f}x" for line in lines))
    return table


def summary_table(run: Run) -> Table:
    """A row for each network and defence: what oblivious and adaptive attacks leave, and what that is worth."""
    several = run.spec.draws > 1
    title = f"{describe(run)}: what the attacks leave"
    table = Table(title=escape(title), title_justify="left", box=box.SIMPLE)
    table.add_column("defence")
    wrong = [f"wrong in any of\n{run.spec.draws} draws"] if several else []
    heads = ["clean", "oblivious\nworst case", "adaptive\n(strongest attack)", "worst case\n(95% interval)"]
    for head in [*heads, "minus static\n(paired 95%)", *wrong]:
        table.add_column(head, justify="right")
    for model in run.spec.models:
        if len(run.spec.models) > 1:
            table.add_section()
            table.add_row(f"[bold]{escape(model)}")
        for line in make_lines(run, model):
            table.add_row(escape(line.defence), *_summary(line, several))
    return table


def notes(run: Run) -> list[str]:
    """What must be said beside the accuracies of this run."""
    found = [ADAPTIVE if adaptive_attacks(run) else FOOTNOTE]
    if any(name.startswith(PREFIX) for name in run.spec.models.values()):
        found.append(NOT_ELIGIBLE)
    if run.spec.cascade:
        found.append(CASCADE)
    if short := shortcuts(run):
        found.append(f"Not exact: {short}.")
    if not run.complete:
        found.append(f"This run is {progress(run)}.")
    return found


def print_run(run: Run) -> None:
    """Prints the table of a run and what must be said beside it."""
    console = Console()
    if not console.is_terminal:
        console.width = 160  # in a file or a pipe nothing limits the width
    if len(run.spec.attacks) > _FEW:
        for model in run.spec.models:
            console.print(attack_table(run, model))
    else:
        console.print(accuracy_table(run))
    if adaptive_attacks(run):
        console.print(summary_table(run))
    for note in notes(run):
        console.print(note, highlight=False, markup=False)


def _summary(line: Line, several: bool) -> list[str]:
    """What the summary says of one defence of one network."""
    found, worst = line.summary, line.worst
    accuracy, attack = strongest(found)
    difference, bounds = gain(found)
    return [
        points(found.clean if found else None),
        points(found.oblivious if found else None),
        f"{accuracy} ({attack.split(', ')[-1]})" if attack else accuracy,
        f"{points(worst)} ({interval(worst.ci95, 0)})" if worst else "-",
        f"{difference} ({bounds})" if bounds else difference,
        *([f"{worst.any_wrong:.1f}" if worst else "-"] if several else []),
    ]


def _cells(line: Line, attacks: tuple[str, ...]) -> list[str]:
    """What the table says of one defence of one network."""
    worst = line.worst
    return [
        *(points(line.rows.get(attack)) for attack in attacks),
        f"{points(worst)} ({interval(worst.ci95, 0)})" if worst else "-",
        "-" if line.forwards is None else str(line.forwards),
        "-" if line.relative_time is None else f"{line.relative_time:.1f}x",
    ]
