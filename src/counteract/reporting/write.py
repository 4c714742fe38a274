"""Writing the reports of a run into a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from counteract._errors import UserError
from counteract._extras import needing
from counteract._files import check_writable, write_atomically
from counteract.evaluation.results import Run, write_results
from counteract.reporting.audit import Findings, read_findings
from counteract.reporting.csv_file import to_csv
from counteract.reporting.markdown import to_markdown

TEXT, PAGE = "report.md", "report.html"


def page_maker() -> Callable[[Run, Findings | str | None], str]:
    """Returns what makes the page of a run.

    Raises:
        UserError: (a ValueError) the extra `report` is missing.
    """
    with needing("report"):
        from counteract.reporting.html import to_html  # only here: matplotlib is slow to start
    return to_html


def write_reports(run: Run, folder: str | Path, source: str | Path | None = None) -> list[Path]:
    """Writes `results.json`, `report.md`, `rows.csv` and `report.html`, each atomically, and returns their paths.

    Without the extra `report` the page is left out.

    Args:
        run: The run.
        folder: The folder for them, which is made if need be.
        source: The run's own folder, whose audit the reports show if there is one; by default the same.

    Raises:
        UserError: (a ValueError) one cannot be written.
    """
    folder = Path(folder)
    audit = read_findings(Path(source or folder), run)
    texts = {TEXT: to_markdown(run, audit), "rows.csv": to_csv(run)}
    try:
        to_html = page_maker()
    except UserError:  # of the missing extra, of which whoever wants the page is told
        pass
    else:
        texts[PAGE] = to_html(run, audit)
    check_writable(folder / TEXT)  # which makes the folder
    for name, text in texts.items():
        write_atomically(folder / name, text.encode())
    return [write_results(run, folder), *(folder / name for name in texts)]
