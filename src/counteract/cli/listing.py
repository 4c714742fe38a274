"""Lists of names with one line about each, for the commands that print one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

MarkdownOption = Annotated[bool, typer.Option("--markdown", help="As a table for the documentation.")]


def print_lines(lines: Iterable[tuple[str, str]], *, markdown: bool) -> None:
    """Prints names, each with one line about it, as a table for the terminal or in Markdown."""
    if markdown:
        typer.echo(to_markdown(lines))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table

    table = Table(Column("name", no_wrap=True), "about", box=box.SIMPLE)
    for name, about in lines:
        table.add_row(name, about)
    console = Console(emoji=False)
    if not console.is_terminal:
        console.width = 130  # in a file or a pipe nothing limits the width
    console.print(table)


def to_markdown(lines: Iterable[tuple[str, str]]) -> str:
    """Returns such a list as a Markdown table, without a newline at its end."""
    rows = [f"| `{name}` | {about} |" for name, about in lines]
    return "\n".join(["| name | about |", "|---|---|", *rows])
