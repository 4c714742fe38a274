"""`counteract models`: the networks that `load_model` and `--model` can load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from counteract._errors import UserError
from counteract.cli.app import command
from counteract.cli.listing import console

if TYPE_CHECKING:
    from counteract.models import Card


@command()
def models(
    robustbench: Annotated[bool, typer.Option("--robustbench", help="List RobustBench's zoo instead.")] = False,
    dataset: Annotated[str | None, typer.Option(help="Of the zoo: cifar10, cifar100 or imagenet.")] = None,
    threat_model: Annotated[str | None, typer.Option(help="Of the zoo: Linf, L2 or corruptions.")] = None,
) -> None:
    """Lists the networks that are at hand, and the other names that --model takes."""
    from rich import box
    from rich.table import Column, Table

    from counteract.models import card_of, known_models

    if robustbench:
        _list_zoo(dataset, threat_model)
        return
    if dataset or threat_model:
        raise UserError("--dataset and --threat-model go with --robustbench")
    table = Table(Column("name", no_wrap=True), "network", "training", "test accuracy, %", box=box.SIMPLE)
    for name in known_models():
        card = card_of(name)
        network = f"{card.architecture}\nwidth {card.width}"
        table.add_row(name, network, f"{card.method}\non {card.dataset}", _accuracy(card), end_section=True)
    console().print(table)
    console().print(
        "Also: a path ending in .safetensors that `counteract train` wrote; robustbench:DATASET/THREAT_MODEL/NAME "
        "(`counteract models --robustbench`); torchvision:NAME, timm:NAME, hf:NAME_OR_FOLDER; clip:FOLDER; "
        "package.module:factory, a network of your own.",
        highlight=False,
    )


def _list_zoo(dataset: str | None, threat_model: str | None) -> None:
    """Prints RobustBench's networks with what was published on them."""
    from rich import box
    from rich.table import Column, Table

    from counteract.robustbench.eligibility import NOT_ELIGIBLE
    from counteract.robustbench.zoo import zoo

    table = Table(Column("name", overflow="fold"), "network", box=box.SIMPLE)
    table.add_column("clean, %", justify="right")
    table.add_column("robust, %", justify="right")
    for entry in zoo(dataset, threat_model):
        table.add_row(entry.full_name, entry.architecture, f"{entry.clean:.2f}", f"{entry.robust:.2f}")
    console().print(table)
    console().print(
        "As published by RobustBench: robust is the accuracy under AutoAttack, or the mean over common corruptions. "
        + NOT_ELIGIBLE,
        highlight=False,
    )


def _accuracy(card: Card) -> str:
    """Returns clean and robust accuracy with their intervals."""
    found = card.accuracy
    return (
        f"clean {found['clean']:.1f} [{found['clean_low']:.1f}, {found['clean_high']:.1f}]\n"
        f"PGD-20 {found['pgd20']:.1f} [{found['pgd20_low']:.1f}, {found['pgd20_high']:.1f}]\n"
        f"at {found['eps']:g}/255, n = {found['n']:,.0f}"
    )
