"""`counteract report` as its user meets it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from reporting.synthetic import make_illustrations, make_run

from counteract.cli import main

SPEC: dict[str, Any] = {
    "title": "Table 4: a test", "dataset": "digits", "models": {"mixup": "net"}, "attacks": ["none", "pgd2"],
    "defences": ["none", "counteraction"], "illustrations": 2,
}  # fmt: skip
REPORTS = ["report.md", "rows.csv", "report.html"]


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["report", *arguments])
    return int(stopped.value.code or 0)


def test_reports_of_a_finished_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(SPEC, lambda *_: [1, 1, 0], folder=tmp_path, illustrations=make_illustrations())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert call(str(tmp_path)) == 0
    said = capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {*before, *REPORTS}
    assert all((tmp_path / name).read_bytes() == content for name, content in before.items())
    for words in ("Table 4: a test", "counteraction", "66.7", "oblivious", *(str(tmp_path / name) for name in REPORTS)):
        assert words in said
    assert "unfinished" not in said
    assert "Example 2" in (tmp_path / "report.html").read_text()


def test_reports_of_a_run_that_was_killed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = tmp_path / "run", tmp_path / "a/b"
    run.mkdir()
    make_run(SPEC, lambda model, defence, attack, seed: [1, 0] if attack == "none" else None, folder=run)
    with (run / "cells.jsonl").open("ab") as journal:
        journal.write(b'{"key": "cut sho')
    assert call(str(run), "--out", str(out)) == 0
    assert "unfinished: 2 of 4 measurements" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == sorted(REPORTS)
    assert "unfinished: 2 of 4" in (out / "report.html").read_text()
    assert not (run / "report.md").exists()


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda folder: None, ["holds no run"]),
        (lambda folder: (folder / "run.json").write_text("{"), ["run.json is damaged"]),
        (lambda folder: (folder / "run.json").write_text("[]"), ["run.json is damaged"]),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(
    prepare: Any, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(tmp_path)
    assert call(str(tmp_path)) == 2
    printed = capsys.readouterr()
    (line,) = printed.err.strip().splitlines()
    assert all(word in line for word in words)
    assert printed.out == ""
    assert not (tmp_path / "report.md").exists()


def test_an_out_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(SPEC, lambda *_: [1], folder=tmp_path)
    (tmp_path / "file").write_text("")
    assert call(str(tmp_path), "--out", str(tmp_path / "file")) == 2
    assert "cannot be made a folder" in capsys.readouterr().err
