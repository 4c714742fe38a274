"""`counteract defences`: the defences by name."""

from __future__ import annotations

from counteract.cli import listing
from counteract.cli.app import command


@command()
def defences(markdown: listing.MarkdownOption = False) -> None:
    """Lists the defences that --defence takes; A+B is A before B."""
    from counteract.defences import defence_lines

    listing.print_lines(defence_lines(), markdown=markdown)
