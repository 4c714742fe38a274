"""`counteract models`: what `load_model` and `--model` can load."""

from __future__ import annotations

from counteract.cli.app import app
from counteract.models.files import Card


@app.command()
def models() -> None:
    """List the networks that come with the package, and the other names that --model takes."""
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table

    from counteract.models import shipped_card, shipped_models

    table = Table(Column("name", no_wrap=True), "network", "training", "test accuracy, %", box=box.SIMPLE)
    for name in shipped_models():
        card = shipped_card(name)
        network = f"{card.architecture}\nwidth {card.width}"
        table.add_row(name, network, f"{card.method}\non {card.dataset}", _accuracy(card), end_section=True)
    console = Console()
    console.print(table)
    console.print("Also: a path ending in .safetensors that `counteract train` wrote.", highlight=False)


def _accuracy(card: Card) -> str:
    """Clean and robust accuracy with their intervals."""
    found = card.accuracy
    return (
        f"clean {found['clean']:.1f} [{found['clean_low']:.1f}, {found['clean_high']:.1f}]\n"
        f"PGD-20 {found['pgd20']:.1f} [{found['pgd20_low']:.1f}, {found['pgd20_high']:.1f}]\n"
        f"at {found['eps']:g}/255, n = {found['n']:,.0f}"
    )
