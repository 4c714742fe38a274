"""`counteract attacks`: the attacks by name."""

from __future__ import annotations

from counteract.cli import listing
from counteract.cli.app import command


@command()
def attacks(markdown: listing.MarkdownOption = False) -> None:
    """Lists the attacks that --attack takes; K is any number of steps."""
    from counteract.attacks import attack_lines

    listing.print_lines(attack_lines(), markdown=markdown)
