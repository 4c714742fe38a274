"""Writing the reports of a run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from reporting.synthetic import adaptive

from counteract._errors import UserError
from counteract._sealed import seal
from counteract.reporting.write import write_reports

REPORTS = ["results.json", "report.md", "rows.csv", "report.html"]


def test_the_reports_and_the_results(tmp_path: Path) -> None:
    assert write_reports(adaptive(), tmp_path) == [tmp_path / name for name in REPORTS]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(REPORTS)
    assert json.loads((tmp_path / "results.json").read_text())["complete"]
    assert "Audit" not in (tmp_path / "report.md").read_text()


def test_a_folder_may_be_text_and_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "two" / "levels"
    assert write_reports(adaptive(), str(folder)) == [folder / name for name in REPORTS]


def test_the_audit_of_the_runs_folder_is_shown(tmp_path: Path) -> None:
    check = {"name": "gain", "flag": True, "words": "not confirmed"}
    rows = [asdict(row) for row in adaptive().rows]
    content = {"defence": "rotation", "checks": [check], "notes": [], "rows": rows}
    source, out = tmp_path / "run", tmp_path / "out"
    for folder in (source, out):
        folder.mkdir()
    (source / "audit.json").write_bytes(seal(content))
    write_reports(adaptive(), out, source)
    write_reports(adaptive(), source)
    for folder in (source, out):
        for name in ("report.md", "report.html"):
            text = (folder / name).read_text()
            assert "rotation: 1 red flag." in text
            assert "not confirmed" in text


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match="cannot be written"):
        write_reports(adaptive(), tmp_path / "file")
