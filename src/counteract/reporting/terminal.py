"""A run in the terminal: its tables, and what must be said beside them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from counteract.evaluation.results import Run
from counteract.reporting.lines import MISSING, Item, Line, make_lines, points, whole_interval
from counteract.reporting.remarks import remarks
from counteract.reporting.words import adaptive_attacks, describe, notes, parameters

_FEW = 10
"""Up to so many attacks have columns of their own."""


def accuracy_table(run: Run) -> Table:
    """Returns a row for each network and defence, with a column for each attack, the worst case, and the costs."""
    spec = run.spec
    table = _table(f"{spec.title}\n{describe(run)}" if spec.title else describe(run), "defence")
    for head in [*map(_head, spec.attacks), "worst of these\n(95% interval)", "forward\npasses", "in\ntime"]:
        table.add_column(escape(head), justify="right")

    def cells(line: Line) -> list[str]:
        accuracies = [_short(line, attack) for attack in spec.attacks]
        return [*accuracies, _worst(line), line.cost.text, line.time.text]

    return _filled(table, run, cells)


def _head(attack: str) -> str:
    """Returns an attack's name with a new line for each mark in it, but for those of its arguments."""
    return re.sub(r"[-:@](?![^(]*\))|(?=\()", "\n", attack)


def _filled(table: Table, run: Run, cells: Callable[[Line], list[str]]) -> Table:
    """Returns the table with the lines of every network, each network under its label."""
    for model in run.spec.models:
        if len(run.spec.models) > 1:
            table.add_section()
            table.add_row(f"[bold]{escape(model)}")
        for line in make_lines(run, model):
            table.add_row(escape(line.defence), *cells(line))
    return table


def summary_table(run: Run) -> Table:
    """Returns a row for each network and defence: what oblivious and adaptive attacks leave, and its worth."""
    several = run.spec.draws > 1
    table = _table(f"{describe(run)}: what the attacks leave", "defence")
    heads = ["clean", "oblivious\nworst case", "adaptive\n(strongest attack)", "worst case\n(95% interval)"]
    wrong = [f"wrong in any of\n{run.spec.draws} draws"] if several else []
    for head in [*heads, "minus undefended\n(paired 95%)", *wrong]:
        table.add_column(head, justify="right")

    def cells(line: Line) -> list[str]:
        adaptive = escape(str(Item(line.adaptive.text, line.summary.strongest or "")))
        wrong = [line.any_wrong.text] if several else []
        return [line.clean.text, line.oblivious.text, adaptive, _worst(line), str(line.gain), *wrong]

    return _filled(table, run, cells)


def attack_table(run: Run, model: str) -> Table:
    """Returns a row for each attack and a column for each defence of one network: for runs of many attacks."""
    lines = make_lines(run, model)
    table = _table(f"{model}: accuracy under each attack", "attack")
    for line in lines:
        table.add_column(escape(line.defence.replace("+", "+\n")), justify="right")
    for attack in run.spec.attacks:
        table.add_row(escape(attack), *(_short(line, attack) for line in lines))
    table.add_section()
    table.add_row("forward passes", *(line.cost.text for line in lines))
    table.add_row("in time", *(line.time.text for line in lines))
    return table


def _table(title: str, first: str) -> Table:
    table = Table(title=escape(title), title_justify="left", box=box.SIMPLE)
    table.add_column(first)
    return table


def fitted(table: Table, console: Console) -> list[Table]:
    """Returns a table as it is, or in parts, each with its first column, that a console is wide enough for."""
    names, *columns = table.columns
    unlimited = console.options.update(max_width=10_000)
    parts: list[Table] = []
    while columns:
        taken = len(columns)
        while (
            taken > 1
            and console.measure(_part(table, [names, *columns[:taken]]), options=unlimited).maximum > console.width
        ):
            taken -= 1
        parts.append(_part(table, [names, *columns[:taken]], title=not parts))
        columns = columns[taken:]
    return parts


def _part(table: Table, columns: list[Column], *, title: bool = True) -> Table:
    """Returns a table of some of its columns; a cell that is wider than the console goes on in the next line."""
    part = Table(title=table.title if title else None, title_justify="left", box=table.box)
    for column in columns:
        part.add_column(column.header, justify=column.justify, overflow="fold")
    for row, cells in zip(table.rows, zip(*(column.cells for column in columns), strict=True), strict=True):
        part.add_row(*cells, end_section=row.end_section)
    return part


def _short(line: Line, attack: str) -> str:
    """Returns an accuracy without its interval, but with n where it is about some of the examples alone."""
    row = line.rows.get(attack)
    fewer = f" (n={row.n})" if row and row.n < line.examples else ""
    return line.under(attack).text + fewer


def _worst(line: Line) -> str:
    worst = line.summary.worst
    if worst is None:
        return MISSING
    fewer = f", n={worst.n}" if worst.n < line.examples else ""
    return f"{points(worst)} ({whole_interval(worst)}{fewer})"


def print_run(run: Run) -> None:
    """Prints the tables of a run and what must be said beside them."""
    console = Console(emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 160  # in a file or a pipe nothing limits the width
    many = len(run.spec.attacks) > _FEW
    tables = [attack_table(run, model) for model in run.spec.models] if many else [accuracy_table(run)]
    for table in [*tables, *([summary_table(run)] if adaptive_attacks(run) else [])]:
        for part in fitted(table, console):
            console.print(part)
    for text in [*notes(run), *(f"{line}." for line in [*parameters(run), *remarks(run)])]:
        console.print(text, highlight=False, markup=False)
