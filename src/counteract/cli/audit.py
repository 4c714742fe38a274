"""`counteract audit`: attacks a defence in every way there is, and says what that shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from counteract._errors import UserError, unknown_name
from counteract._files import check_writable, write_atomically
from counteract._processes import is_first
from counteract.cli import options
from counteract.cli.app import command
from counteract.cli.guard import guarded
from counteract.cli.interruption import kept
from counteract.cli.progress import ProgressBar
from counteract.cli.written import tell_written

if TYPE_CHECKING:
    from counteract.auditing import Audit

UNSURE = 3
"""The exit code of an audit that cannot tell; one that could not be finished has the same."""

_ENDINGS = {"json": "json", "sarif": "sarif", "junit": "xml"}
"""The formats of an audit, and the endings of their files."""


@command()
@options.takes_shared
def audit(
    shared: options.Shared,
    spec: options.SpecArgument = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A name, .safetensors, torchvision:..., timm:..., hf:..., clip:..., robustbench:..., "
            "package.module:factory, or a label of the spec."
        ),
    ] = None,
    defence: Annotated[
        str | None, typer.Option(help="One of `counteract defences`, or several joined with +; by default the spec's.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A file ending in .json, or a folder for audit.json, the run and its reports."),
    ] = None,
    form: Annotated[
        str, typer.Option("--format", help="json; or, for CI, sarif or junit: --out is a file then, or a folder.")
    ] = "json",
) -> None:
    """Attacks a defence in every way there is and raises red flags.

    Exit code 0: sound, or no gain, and no flag is up; 1: a flag is up; 2: a mistake in the call; 3: it cannot tell, or
    could not be finished.

    100 images, two seeds, five draws and the preset quick, unless a spec or an option says otherwise.
    """
    from counteract.auditing import DEFAULTS, audit_spec, make_audit_spec
    from counteract.reporting.audit import print_audit

    data = shared.spec_data(spec, [model] if model else [], DEFAULTS)
    made = make_audit_spec(data, defence or (None if spec else "undefended"), spec or "options")
    folder = _folder(out, form)
    if out is not None and not folder:
        check_writable(out)
    with ProgressBar(active=is_first()) as watcher, guarded(watcher.tell), kept(lambda: shared.kept(folder)):
        found = audit_spec(made, shared.run_options(watcher, folder))
    if is_first():
        print_audit(found)
        if out is not None:
            tell_written(_write(found, out, folder, form))
    raise typer.Exit(1 if found.flagged else 0 if found.sound else UNSURE)


def _folder(out: Path | None, form: str) -> Path | None:
    """Returns the folder of an audit; None for a single file, or nothing at all.

    Raises:
        UserError: (a ValueError) there is no such format, or no place for it.
    """
    if form not in _ENDINGS:
        raise unknown_name("format", form, _ENDINGS)
    if out is None and form != "json":
        raise UserError(f"--format {form} needs --out, a file such as audit.{_ENDINGS[form]} or a folder")
    single = (".json",) if form == "json" else (".json", ".sarif", ".xml")
    return None if out is None or out.suffix.lower() in single else out


def _write(found: Audit, out: Path, folder: Path | None, form: str) -> list[Path]:
    """Writes an audit, into a folder with its reports, and returns the files."""
    from counteract.auditing import write_audit
    from counteract.reporting import write_reports
    from counteract.reporting.junit import junit
    from counteract.reporting.sarif import sarif

    files = {"json": folder / "audit.json", form: folder / f"audit.{_ENDINGS[form]}"} if folder else {form: out}
    for kind, path in files.items():
        if kind == "json":
            write_audit(found, path)
        else:
            write_atomically(path, {"sarif": sarif, "junit": junit}[kind](found).encode())
    return [*files.values(), *(write_reports(found.run, folder) if folder else [])]
