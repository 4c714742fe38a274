"""`counteract cache`: shows and clears the adversarial examples that evaluations keep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from counteract.cli.app import command
from counteract.cli.options import make_folder


@command()
def cache(
    folder: Annotated[
        Path | None,
        typer.Option(
            "--cache", envvar="COUNTERACT_CACHE", help="The folder, if it is not the one in the user's cache."
        ),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Delete the examples in it.")] = False,
) -> None:
    """Shows where adversarial examples are kept and how much they take; with --clear, deletes them."""
    from counteract.evaluation import ExampleCache, default_cache

    folder = folder or default_cache()
    if folder.is_symlink() or folder.exists():
        make_folder(folder, "cache")  # which says why it is none
    examples = ExampleCache(folder, warn=typer.echo)
    if clear:
        if not (folder / "run.json").exists():  # a run has probes of its own
            for probe in (folder / "probes").glob("*.json"):  # the answers of networks that the examples belong to
                probe.unlink(missing_ok=True)
        typer.echo(f"{folder}: {_megabytes(examples.clear())} freed")
        return
    files = examples.files()
    typer.echo(f"{folder}: {len(files)} files, {_megabytes(sum(path.lstat().st_size for path in files))}")


def _megabytes(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"
