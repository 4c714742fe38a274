"""The Typer application that the commands register with."""

from __future__ import annotations

import typer

app = typer.Typer(
    name="counteract",
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _counteract(context: typer.Context) -> None:
    """Inference-time adversarial defences, and an evaluation that tells the truth about them."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
