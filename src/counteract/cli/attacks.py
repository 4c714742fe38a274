"""`counteract attacks`: the attacks by name."""

from __future__ import annotations

from typing import Annotated

import typer

from counteract.cli import listing
from counteract.cli.app import command


@command()
def attacks(
    markdown: listing.MarkdownOption = False,
    library: Annotated[
        str | None, typer.Option(help="List the attacks of torchattacks or art one by one instead.")
    ] = None,
) -> None:
    """Lists the attacks that --attack takes; K is any number of steps."""
    from counteract.attacks import attack_lines, library_lines

    listing.print_lines(attack_lines() if library is None else library_lines(library), markdown=markdown)
