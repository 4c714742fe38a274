"""Writing the reports of a run into a folder."""

from __future__ import annotations

from pathlib import Path

from counteract._files import write_atomically
from counteract.evaluation.results import Run, write_results
from counteract.reporting.audit import read_findings
from counteract.reporting.csv_file import to_csv
from counteract.reporting.markdown import to_markdown


def write_reports(run: Run, folder: Path, source: Path | None = None) -> list[Path]:
    """Writes `results.json`, `report.md`, `rows.csv` and `report.html`, each atomically, and returns their paths.

    Args:
        run: The run.
        folder: The folder for them.
        source: The run's own folder, whose audit the reports show if there is one; by default the same.

    Raises:
        UserError: (a ValueError) one cannot be written.
    """
    from counteract.reporting.html import to_html  # only here: matplotlib is slow to start

    audit = read_findings(source or folder, run)
    texts = {"report.md": to_markdown(run, audit), "rows.csv": to_csv(run), "report.html": to_html(run, audit)}
    for name, text in texts.items():
        write_atomically(folder / name, text.encode())
    return [write_results(run, folder), *(folder / name for name in texts)]
