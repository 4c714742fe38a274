"""Lists of names with one line about each, for the commands that print one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

MarkdownOption = Annotated[bool, typer.Option("--markdown", help="As a table for the documentation.")]


def print_lines(lines: Iterable[tuple[str, str]], *, markdown: bool) -> None:
    """Prints names, each with one line about it, as a table for the terminal or in Markdown."""
    if markdown:
        typer.echo(to_markdown(lines))
        return
    from rich import box
    from rich.table import Column, Table

    table = Table(Column("name", no_wrap=True), "about", box=box.SIMPLE)
    for name, about in lines:
        table.add_row(name, about)
    console().print(table)


def console() -> Console:
    """Returns the console that lists are printed on, wide in a file or a pipe, where nothing limits the width."""
    from rich.console import Console

    found = Console(emoji=False)
    if not found.is_terminal:
        found.width = 130
    return found


def to_markdown(lines: Iterable[tuple[str, str]]) -> str:
    """Returns such a list as a Markdown table, without a newline at its end."""
    rows = [f"| `{name}` | {about} |" for name, about in lines]
    return "\n".join(["| name | about |", "|---|---|", *rows])
