"""The Typer application that the commands register with, and what all of its commands have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from counteract._errors import UserError


def _check(command: Any, context: typer.Context, arguments: list[str]) -> None:
    """Raises UserError for an option that is given twice where one is meant, and for anything without a value."""
    values, _, order = command.make_parser(context).parse_args(args=list(arguments))
    for parameter in order:
        if parameter.is_eager:
            continue
        name, given = parameter.opts[0], values[parameter.name]
        if not parameter.multiple and order.count(parameter) > 1:
            raise UserError(f"{name} is given twice: which of the two is meant?")
        if "" in (given if parameter.multiple else [given]):
            raise UserError(f"{name} is given without a value")


class Command(TyperCommand):
    """A command that takes the application's own options beside its own, and each of them once."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Returns its parameters, and those that every command has."""
        return [*super().get_params(ctx), *(each for each in ctx.find_root().command.params if each.is_eager)]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads its arguments."""
        if not ctx.resilient_parsing:  # of completion, where a line need not be whole
            _check(self, ctx, args)
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="counteract",
    cls=TyperGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def command() -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Returns a decorator that makes a function one of the application's commands."""
    return app.command(cls=Command)


def _print_version(wanted: bool) -> None:
    if wanted:
        from counteract import __version__

        typer.echo(f"counteract {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _counteract(
    context: typer.Context,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", is_eager=True, expose_value=False, help="Show where an error came from."),
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    """Inference-time adversarial defences, and an evaluation that tells the truth about them."""
    del verbose, version  # the entry looks for the one, the other ends here
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
