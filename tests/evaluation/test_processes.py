"""Runs that are killed, and runs of several processes, as real processes: they end with the results of a plain run."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from counteract.evaluation.journal import read_entries
from counteract.evaluation.processes import Processes

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


FALLIBLE = """
import os, signal, sys

from counteract.cli import main
from counteract.evaluation import blocks, folder, journal

blocks.BLOCK = folder.BLOCK = 16
added = journal.Journal.add

def add(self, entry):
    added(self, entry)
    if (os.environ.get("RANK"), os.environ.get("TORCHELASTIC_RESTART_COUNT")) == ("1", "0"):
        os.kill(os.getpid(), signal.SIGKILL)

journal.Journal.add = add
main()
"""
"""The command with small blocks, of which the second process dies as soon as it has finished one."""

FEW = ["evaluate", "--limit", "120", "--seeds", "1", "--attack", "pgd2", "--defence", "rotation"]


def answers(folder: Path) -> dict[str, str]:
    return {key: entry.correct for key, entry in read_entries(folder / "out").found.items()}


def test_two_machines_one_of_them_late_and_a_process_that_dies_give_what_one_process_gives(tmp_path: Path) -> None:
    script, places = tmp_path / "fallible.py", (tmp_path / "one", tmp_path / "four")
    script.write_text(FALLIBLE)
    given = [[str(script), *FEW, "--out", str(each / "out"), "--cache", str(each / "cache")] for each in places]
    subprocess.run([sys.executable, *given[0]], check=True, capture_output=True, env=environment())
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"127.0.0.1:{free.getsockname()[1]}"
    agent = [
        *(sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "2"),
        *("--max-restarts", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint", endpoint, "--rdzv-id", "run"),
        *("--local-addr", "127.0.0.1", *given[1]),
    ]
    agents = []
    for _ in range(2):
        agents.append(
            subprocess.Popen(agent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
        )
        time.sleep(2)
    said = [each.communicate(timeout=200) for each in agents]
    assert [each.returncode for each in agents] == [0, 0], said
    assert sum("exitcode  : -9" in errors or "Signal 9" in errors for _, errors in said) == 1
    assert len(answers(places[0])) == 8
    assert answers(places[1]) == answers(places[0])
    assert rows(places[1]) == rows(places[0])


def test_places_are_taken_once_each_by_whoever_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    store = dist.HashStore()
    monkeypatch.setattr(dist.distributed_c10d, "_get_default_store", lambda: store)
    device = torch.device("cpu")
    fast, slow = (Processes(device, rank, 2, "run").take("network", 7) for rank in range(2))
    assert [next(slow), next(fast)] == [(0, 1), (2, 3)]
    assert list(fast) == [(3, 4), (4, 5), (5, None), (6, None)]
    assert list(slow) == [(1, None)]
    assert list(Processes(device).take("network", 3)) == [(0, 1), (1, 2), (2, None)]
    assert list(Processes(device, 0, 2, "run").take("another", 1)) == [(0, None)]
