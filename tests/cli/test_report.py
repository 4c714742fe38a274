"""`counteract report` as its user meets it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torchattacks

from counteract.attacks import register_attack, registry
from counteract.attacks.libraries import registered as attacks
from counteract.cli import main
from counteract.evaluation import RunOptions, evaluate_spec, make_spec

SPEC: dict[str, Any] = {
    "title": "Table 4: a test", "dataset": "digits", "models": {"mixup": "digits-resnet-mixup"}, "limit": 4,
    "attacks": ["clean", "pgd1"], "defences": ["undefended", "counteraction"], "illustrations": 2,
    "parameters": {"counteraction": {"num_labels": 9}},
}  # fmt: skip
REPORTS = ["results.json", "report.md", "rows.csv", "report.html"]


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["report", *arguments])
    return int(stopped.value.code or 0)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a finished run."""
    folder = tmp_path_factory.mktemp("run")
    evaluate_spec(make_spec(SPEC, "a test"), RunOptions(folder=folder))
    return contents(folder)


@pytest.fixture
def run(finished: dict[str, bytes], tmp_path: Path) -> Path:
    """The folder of a finished run."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name, content in finished.items():
        (folder / name).write_bytes(content)
    return folder


def test_a_run_of_a_program_with_an_attack_of_its_own_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as program:
        program.setattr(attacks, "REGISTERED", {})
        program.setattr(registry, "REGISTERED", attacks.REGISTERED)
        register_attack("mine", torchattacks.FGSM)
        own = {"attacks": ["clean", "mine@defended"], "defences": ["undefended"], "illustrations": 0, "parameters": {}}
        evaluate_spec(make_spec(SPEC | own, "a test"), RunOptions(folder=tmp_path))
    assert call(str(tmp_path)) == 0
    assert "(mine@defended)" in capsys.readouterr().out
    assert "not known here" in (tmp_path / "report.html").read_text()


def test_reports_of_a_finished_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(run)
    assert call(str(run)) == 0
    said = capsys.readouterr().out
    assert contents(run).keys() == {*before, *REPORTS}
    assert before.items() <= contents(run).items()
    for words in ("Table 4: a test", "counteraction", "100.0", "oblivious", *(str(run / name) for name in REPORTS)):
        assert words in said
    assert "unfinished" not in said
    assert "Example 2" in (run / "report.html").read_text()


def test_reports_of_a_run_that_was_killed(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (run / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (run / "journal.jsonl").write_bytes(b"".join(lines[:2]) + b'{"key": "cut sho')
    before, out = contents(run), tmp_path / "a/b"
    assert call(str(run), "--out", str(out)) == 0
    assert "unfinished: 2 of 4 measurements" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == sorted(REPORTS)
    assert "unfinished: 2 of 4" in (out / "report.html").read_text()
    assert contents(run) == before


def change_a_digit(folder: Path) -> None:
    text = (folder / "run.json").read_text()
    assert '"limit": 4' in text
    (folder / "run.json").write_text(text.replace('"limit": 4', '"limit": 5'))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "run.json").unlink(), ["holds no run"]),
        (lambda folder: (folder / "run.json").write_text("{"), ["run.json is damaged"]),
        (lambda folder: (folder / "run.json").write_text("[]"), ["run.json is damaged"]),
        (change_a_digit, ["run.json is damaged", "checksum"]),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(
    damage: Callable[[Path], Any], words: list[str], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(run)
    assert call(str(run)) == 2
    printed = capsys.readouterr()
    (line,) = printed.err.strip().splitlines()
    assert all(word in line for word in words)
    assert printed.out == ""
    assert not (run / "report.md").exists()


def test_a_damaged_line_is_said(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (run / "journal.jsonl").read_text()
    (run / "journal.jsonl").write_text(text.replace('"correct": "', '"correct": "0', 1))
    assert call(str(run)) == 0
    assert "1 damaged line" in capsys.readouterr().out
    assert "1 damaged line" in (run / "report.md").read_text()


def test_an_out_that_is_a_file(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert call(str(run), "--out", str(tmp_path / "file")) == 2
    assert "cannot be made a folder" in capsys.readouterr().err
