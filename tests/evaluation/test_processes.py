"""Runs that are killed, and runs of two processes, as real processes: they end with the results of a plain run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ARGUMENTS = ["evaluate", "--limit", "300", "--seeds", "2", "--attack", "clean", "--attack", "pgd4"]
DEFENCES = ["undefended", "counteraction", "rotation"]


def command(folder: Path, *launcher: str) -> list[str]:
    named = [word for defence in DEFENCES for word in ("--defence", defence)]
    places = ["--out", str(folder / "out"), "--cache", str(folder / "cache")]
    return [sys.executable, *launcher, "-m", "counteract", *ARGUMENTS, *named, *places]


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"}


def rows(folder: Path) -> list[dict[str, Any]]:
    content = json.loads((folder / "out" / "results.json").read_text())
    assert content["complete"]
    return [row | {"seconds": 0, "relative_time": 0} for row in content["rows"]]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    subprocess.run(command(folder), check=True, capture_output=True, env=environment())
    return folder


def test_killed_in_the_middle_and_run_again(plain: Path, tmp_path: Path) -> None:
    journal = tmp_path / "out" / "journal.jsonl"
    process = subprocess.Popen(
        command(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
    )
    while process.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") >= 5):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = journal.read_bytes()
    finished = before[: before.rindex(b"\n") + 1]
    assert 5 <= finished.count(b"\n") < 24
    assert not (tmp_path / "out" / "results.json").exists()
    subprocess.run(command(tmp_path), check=True, capture_output=True, env=environment())
    after = journal.read_bytes()
    assert after.startswith(finished)  # with the times that they took the first time: none was done again
    assert after.count(b"\n") == 24
    assert rows(tmp_path) == rows(plain)


def test_two_processes_share_the_examples(plain: Path, tmp_path: Path) -> None:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(command(tmp_path, *launcher), check=True, capture_output=True, text=True, env=environment())
    assert rows(tmp_path) == rows(plain)
    assert done.stdout.count("digits-resnet-mixup on digits, n = 300") == 1
    names = {path.name for path in (plain / "cache").rglob("*.safetensors")}
    assert {path.name for path in (tmp_path / "cache").rglob("*.safetensors")} == names
    assert len(names) == 4  # two blocks, two seeds
