"""`counteract audit`: parse, call, print."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from counteract._errors import UserError
from counteract._files import check_writable
from counteract._processes import is_first
from counteract.cli import options
from counteract.cli.app import command
from counteract.cli.guard import guarded
from counteract.cli.interruption import kept
from counteract.cli.progress import ProgressBar
from counteract.cli.written import tell_written


@command()
@options.takes_shared
def audit(
    shared: options.Shared,
    spec: options.SpecArgument = None,
    model: Annotated[
        str | None,
        typer.Option(help="A name, .safetensors, robustbench:..., package.module:factory, or a label of the spec."),
    ] = None,
    defence: Annotated[
        str | None, typer.Option(help="One of `counteract defences`, or several joined with +; by default the spec's.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A file ending in .json, or a folder for audit.json, the run and its reports."),
    ] = None,
) -> None:
    """Attacks a defence in every way there is and raises red flags.

    Exit code 0: no flag is up; 1: one is; 2: a mistake in the call; 3: the audit could not be finished.

    100 images, two seeds, five draws and the preset quick, unless a spec or an option says otherwise.
    """
    from counteract.auditing import DEFAULTS, audit_spec, make_audit_spec, write_audit
    from counteract.reporting import write_reports
    from counteract.reporting.audit import print_audit

    data = shared.spec_data(spec, [model] if model else [], DEFAULTS)
    made = make_audit_spec(data, defence or (_only_defence(data) if spec else "undefended"), spec or "options")
    folder = out if out is not None and out.suffix != ".json" else None
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    if out is not None and not folder:
        check_writable(out)
    with ProgressBar(active=is_first()) as watcher, guarded(watcher.tell), kept(lambda: shared.kept(folder)):
        found = audit_spec(made, shared.run_options(watcher, folder))
    if is_first():
        print_audit(found)
        if out is not None:
            path = folder / "audit.json" if folder else out
            write_audit(found, path)
            tell_written([path, *(write_reports(found.run, folder) if folder else [])])
    raise typer.Exit(0 if found.sound else 1)


def _only_defence(data: dict[str, Any]) -> str:
    """Returns the defence that a spec is about.

    Raises:
        UserError: (a ValueError) there are several, so that one must be named.
    """
    found = [name for name in data.get("defences", []) if name not in ("undefended", "none")]
    if len(found) > 1:
        raise UserError(f"an audit is about one defence, found {', '.join(map(str, found))}: name one with --defence")
    return str(found[0]) if found else "undefended"
