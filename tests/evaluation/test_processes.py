"""Runs that are killed, and runs of several processes, as real processes: they end with the results of a plain run."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._C._distributed_c10d import HashStore

from counteract._errors import UserError
from counteract.evaluation import RunOptions, blocks, evaluate_spec, make_spec, spec_for_dataset
from counteract.evaluation.folder import read_run
from counteract.evaluation.journal import read_entries
from counteract.evaluation.processes import Processes, _own

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
import os, signal

from counteract.cli import main
from counteract.evaluation import blocks, folder, journal

blocks.BLOCK = folder.BLOCK = 16
added = journal.Journal.add

def add(self, entry):
    added(self, entry)
    if (os.environ["RANK"], os.environ["TORCHELASTIC_RESTART_COUNT"]) == ("1", "0"):
        os.kill(os.getpid(), signal.SIGKILL)

journal.Journal.add = add
main()
"""
"""The command with small blocks, whose second process dies as soon as it has finished one of them."""


def answers(folder: Path) -> dict[str, str]:
    return {key: entry.correct for key, entry in read_entries(folder).found.items()}


def torchrun(endpoint: str, *command: str) -> subprocess.Popen[str]:
    """Starts one of two machines with two processes each."""
    arguments = {
        "nnodes": "2", "nproc-per-node": "2", "max-restarts": "2", "local-addr": "127.0.0.1",
        "rdzv-backend": "c10d", "rdzv-endpoint": endpoint, "rdzv-id": "run",
    }  # fmt: skip
    words = [f"--{name}={value}" for name, value in arguments.items()]
    launcher = [sys.executable, "-m", "torch.distributed.run", *words, *command]
    return subprocess.Popen(launcher, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())


def test_two_machines_one_of_them_late_and_a_process_that_dies_give_what_one_process_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, out, alone = tmp_path / "fallible.py", tmp_path / "out", tmp_path / "alone"
    script.write_text(FALLIBLE)
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"127.0.0.1:{free.getsockname()[1]}"
    words = ["evaluate", "--limit=120", "--seeds=1", "--attack=pgd2", "--defence=rotation", f"--out={out}"]
    machines = []
    for _ in range(2):
        machines.append(torchrun(endpoint, str(script), *words, f"--cache={tmp_path / 'cache'}"))
        time.sleep(1)
    monkeypatch.setattr(blocks, "BLOCK", 16)
    few = {"limit": 120, "seeds": 1, "attacks": ["pgd2"], "defences": ["rotation"]}
    run = evaluate_spec(make_spec(spec_for_dataset("digits") | few, "test"), RunOptions(folder=alone))
    said = [machine.communicate(timeout=200) for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], said
    assert sum("(exitcode: -9)" in errors for _, errors in said) == 1
    assert len(answers(out)) == 8
    assert answers(out) == answers(alone)
    assert [replace(row, seconds=0, relative_time=0) for row in read_run(out).rows] == [
        replace(row, seconds=0, relative_time=0) for row in run.rows
    ]


def test_places_are_taken_once_each_by_whoever_is_free() -> None:
    device, store = torch.device("cpu"), HashStore()
    fast, slow = (Processes(device, rank, 2, store).take("network", 7) for rank in range(2))
    assert [next(slow), next(fast)] == [(0, 1), (2, 3)]
    assert list(fast) == [(3, 4), (4, 5), (5, None), (6, None)]
    assert list(slow) == [(1, None)]
    assert list(Processes(device, 0, 2, store).take("another", 1)) == [(0, None)]
    assert list(Processes(device).take("network", 3)) == [(0, 1), (1, 2), (2, None)]


def test_everybody_gets_what_everybody_gives() -> None:
    def gathered(rank: int) -> list[list[int]]:
        one = Processes(torch.device("cpu"), rank, 3, store)
        return [one.gather(rank), one.gather(10 * rank)]

    store = HashStore()
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(gathered, range(3))) == [[[0, 1, 2], [0, 10, 20]]] * 3


def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert [_own(torch.device(name)) for name in ("cpu", "cuda")] == [torch.device("cpu"), torch.device("cuda", 1)]
    assert taken == [torch.device("cuda", 1)]
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(UserError, match=r"2 GPUs .* at most 2"):
        _own(torch.device("cuda"))
