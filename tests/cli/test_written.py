"""The last lines of commands that write reports."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from counteract._extras import how_to_install
from counteract.cli.written import tell_written


def test_what_was_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tell_written([tmp_path / "report.md", tmp_path / "report.html"])
    assert capsys.readouterr().out == f"written: {tmp_path}/report.md\nwritten: {tmp_path}/report.html\n"


def test_a_page_that_is_left_out_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "counteract.reporting.html", raising=False)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    tell_written([tmp_path / "audit.json"])
    tell_written([tmp_path / "report.md"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == f"left out: report.html: jinja2 is not installed: {how_to_install('report')}"
