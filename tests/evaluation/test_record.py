"""A run's folder: what is written can be read back, also after the worst moment to be killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from counteract.evaluation import Means, evaluate, preset_for
from counteract.evaluation.record import Entry, Place, Record, pack, read_run
from counteract.evaluation.spec import EvaluationSpec, make_spec

SPEC = {"dataset": "digits", "models": ["net"], "attacks": ["none", "pgd10"], "defences": ["none"], "seeds": 2}
PLACES = [Place("net", attack, "none", seed, f"{attack}{seed}") for attack in ("none", "pgd10") for seed in (0, 1)]
CORRECT = torch.tensor([True, False, True] * 3)


def spec() -> EvaluationSpec:
    return make_spec(SPEC, "test")


def entry(key: str) -> Entry:
    return Entry(key, executions=1, work=1, seconds=0.5, plain_seconds=0.25, n=len(CORRECT), correct=pack(CORRECT))


def record(folder: Path | None) -> Record:
    return Record(folder, spec(), {"torch": "1"}, ("a", "b"), PLACES)


def test_a_half_finished_run_reads_back(tmp_path: Path) -> None:
    open_record = record(tmp_path)
    open_record.add(entry("pgd101"))
    run = read_run(tmp_path)
    assert [(cell.attack, list(cell.correct)) for cell in run.cells] == [("none", []), ("pgd10", [1])]
    assert torch.equal(run.cells[1].correct[1], CORRECT)
    assert not run.complete
    assert (run.spec, run.environment, run.class_names) == (spec(), {"torch": "1"}, ("a", "b"))
    assert [row.accuracy for row in run.rows] == [pytest.approx(200 / 3)]
    for key in ("none0", "none1", "pgd100"):
        open_record.add(entry(key))
    assert read_run(tmp_path).complete
    assert open_record.run().rows == read_run(tmp_path).rows


def test_a_line_cut_short_is_forgotten_and_written_over(tmp_path: Path) -> None:
    first = record(tmp_path)
    first.add(entry("none0"))
    first.add(entry("none1"))
    path = tmp_path / "cells.jsonl"
    whole = path.read_bytes()
    for cut in (1, 20, len(whole) // 2 - 1):
        path.write_bytes(whole[:-cut])
        assert set(read_run(tmp_path).cells[0].correct) == {0}
        again = record(tmp_path)
        assert set(again.entries) == {"none0"}
        again.add(entry("pgd100"))
        assert set(record(tmp_path).entries) == {"none0", "pgd100"}


def test_entries_of_other_runs_stay_and_do_not_count(tmp_path: Path) -> None:
    record(tmp_path).add(entry("of another spec"))
    again = record(tmp_path)
    assert not again.run().measured
    assert "of another spec" in again.entries
    again.add(entry("none0"))
    assert len(read_run(tmp_path).measured) == 1


def test_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one = record(None)
    one.add(entry("none0"))
    assert len(one.run().measured) == 1
    assert list(tmp_path.iterdir()) == []


def test_folders_that_hold_no_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no run: run\.json: No such file"):
        read_run(tmp_path)
    record(tmp_path)
    content = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        read_run(tmp_path)
    del content["places"]
    (tmp_path / "run.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"run\.json is damaged .*places"):
        read_run(tmp_path)


def test_a_folder_has_one_writer(tmp_path: Path) -> None:
    made = make_spec(preset_for("digits") | {"limit": 8, "attacks": ["none"], "defences": ["none"]}, "test")
    hold = "import filelock, sys; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(flush=True); input()"
    command = [sys.executable, "-c", hold, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(ValueError, match=r"another run writes to .*: wait until it has ended, or name another"):
            evaluate(made, Means(folder=tmp_path))
        other.kill()
    assert evaluate(made, Means(folder=tmp_path)).complete
