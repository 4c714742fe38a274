"""`counteract datasets`: the datasets by name."""

from __future__ import annotations

from counteract.cli import listing
from counteract.cli.app import command


@command()
def datasets(markdown: listing.MarkdownOption = False) -> None:
    """Lists the datasets that --dataset takes."""
    from counteract.datasets.registry import DATASETS

    listing.print_lines(((source.name, source.help) for source in DATASETS.values()), markdown=markdown)
