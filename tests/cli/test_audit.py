"""`counteract audit` as its user meets it: what it prints, its exit code, its file, its errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from counteract.attacks import budget
from counteract.cli import main

SMALL = ["audit", "--limit", "16", "--seeds", "1", "--draws", "2"]


def call(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return int(stopped.value.code or 0)


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"steps": 5, "restarts": 1, "targets": 1, "draws": 1, "executions": 2, "cheap": 1, "queries": 4}
    tiny = {**counts, "precision": "float32"}
    monkeypatch.setattr(budget, "preset", lambda name: tiny)


@pytest.mark.usefixtures("_small")
def test_an_adversarially_trained_network_without_a_defence_is_sound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call([*SMALL, "--model", "digits-resnet-iat", "--out", str(tmp_path / "found" / "it.json")]) == 0
    printed = capsys.readouterr().out
    assert "none: sound as far as this budget goes: no flag is up." in printed
    assert "FLAG" not in printed
    found = json.loads((tmp_path / "found" / "it.json").read_text())
    assert (found["sound"], found["defence"]) == (True, "none")
    assert {"gain", "black box", "large eps", "convergence", "zero gradients"} < {c["name"] for c in found["checks"]}
    assert len(found["rows"]) == 22
    assert [path.name for path in tmp_path.rglob("*.json")] == ["it.json"]


@pytest.mark.usefixtures("_small")
def test_counteraction_is_flagged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call([*SMALL, "--defence", "counteraction", "--out", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "FLAG clean images: doing nothing is a better attack than some" in printed
    assert "note AutoAttack warns: it seems to be a dynamic defense!" in printed
    assert "What it gains is not to be relied on." in printed
    found = json.loads((tmp_path / "audit.json").read_text())
    assert not found["sound"]
    assert {"audit.json", "cells.jsonl", "report.html", "report.md", "rows.csv", "run.json"} == {
        path.name for path in tmp_path.glob("[!.]*")
    }
    again = (tmp_path / "cells.jsonl").read_text()
    assert call([*SMALL, "--defence", "counteraction", "--out", str(tmp_path)]) == 1
    assert (tmp_path / "cells.jsonl").read_text() == again


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--defence", "counteracton"], "did you mean counteraction"),
        (["--model", "digits-resnet-iatt"], "did you mean digits-resnet-iat"),
        (["--budget", "fulll"], "budget 'fulll' is not known; did you mean full"),
        (["--dataset", "mine.npz"], "name one with --model"),
        (["--limit", "0"], "limit"),
    ],
)
def test_mistakes(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["audit", *arguments]) == 2
    printed = capsys.readouterr()
    assert words in printed.err
    assert len(printed.err.strip().splitlines()) == 1
