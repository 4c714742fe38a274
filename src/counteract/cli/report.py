"""`counteract report`: the reports of a run in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from counteract.cli.app import command
from counteract.cli.options import make_folder
from counteract.cli.written import tell_written


@command()
def report(
    run_dir: Annotated[Path, typer.Argument(help="The folder of a run, finished or not: --out of `evaluate`.")],
    out: Annotated[Path | None, typer.Option(help="A folder for the reports; by default the run's own.")] = None,
) -> None:
    """Writes report.html, one self-contained page, report.md, rows.csv and results.json from a run, finished or not."""
    from counteract.evaluation import read_run
    from counteract.reporting import print_run, write_reports
    from counteract.reporting.write import page_maker

    page_maker()  # which the command is for
    run = read_run(run_dir)
    make_folder(out)
    paths = write_reports(run, out or run_dir, run_dir)
    print_run(run)
    tell_written(paths)
