"""Writing the reports of a run into a folder."""

from __future__ import annotations

from pathlib import Path

from counteract._files import write_atomically
from counteract.evaluation.record import Run
from counteract.reporting.csv_file import to_csv
from counteract.reporting.markdown import to_markdown


def write_reports(run: Run, folder: Path) -> list[Path]:
    """Writes `report.md`, `rows.csv` and `report.html`, each atomically, and returns their paths.

    Raises:
        UserError: (a ValueError) one cannot be written.
    """
    from counteract.reporting.html import to_html  # only here: matplotlib is slow to start

    texts = {"report.md": to_markdown, "rows.csv": to_csv, "report.html": to_html}
    for name, make in texts.items():
        write_atomically(folder / name, make(run).encode())
    return [folder / name for name in texts]
