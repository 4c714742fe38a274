"""`counteract evaluate`: measures defences against attacks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from counteract._processes import is_first
from counteract.cli import options
from counteract.cli.app import command
from counteract.cli.guard import guarded
from counteract.cli.interruption import kept
from counteract.cli.progress import ProgressBar
from counteract.cli.written import tell_written


@command()
@options.takes_shared
def evaluate(
    shared: options.Shared,
    spec: options.SpecArgument = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="A name, .safetensors, torchvision:..., timm:..., hf:..., clip:..., robustbench:..., "
            "package.module:factory, or label=any; repeats."
        ),
    ] = None,
    defence: Annotated[
        list[str] | None, typer.Option(help="One of `counteract defences`, or several joined with +; repeats.")
    ] = None,
    attack: Annotated[list[str] | None, typer.Option(help="One of `counteract attacks`; repeats.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder for results and reports; a run that was killed goes on there.")
    ] = None,
) -> None:
    """Measures defences against attacks, oblivious or adaptive. Without arguments: digits, offline, in a minute."""
    from counteract.evaluation import evaluate_spec, make_spec
    from counteract.reporting import print_run, write_reports

    data = shared.spec_data(spec, model or [], {})
    data |= {key: value for key, value in {"defences": defence, "attacks": attack}.items() if value}
    made = make_spec(data, spec or "options")
    with ProgressBar(active=is_first()) as watcher, guarded(watcher.tell), kept(lambda: shared.kept(out)):
        run = evaluate_spec(made, shared.run_options(watcher, out))
    if not is_first():
        return
    print_run(run)
    if out is not None:
        tell_written(write_reports(run, out))
