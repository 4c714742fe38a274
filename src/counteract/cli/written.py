"""The last lines of commands that write reports: the files there are now, and the page where it had to be left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from counteract._errors import UserError


def tell_written(paths: Sequence[Path]) -> None:
    """Prints what was written; of a folder of reports without its page also why."""
    from counteract.reporting.write import PAGE, TEXT, page_maker

    for path in paths:
        typer.echo(f"written: {path}")
    names = {path.name for path in paths}
    if TEXT in names and PAGE not in names:
        try:
            page_maker()
        except UserError as error:
            typer.echo(f"left out: {PAGE}: {error}")
