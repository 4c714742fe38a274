"""Runs that are killed, and runs of several processes, as real processes: they end with the results of a plain run."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.numpy import load_file
from torch._C._distributed_c10d import HashStore

from counteract._errors import UserError
from counteract.evaluation import RunOptions, blocks, evaluate_spec, make_spec, spec_for_dataset
from counteract.evaluation import folder as evaluation_folder
from counteract.evaluation.folder import read_run
from counteract.evaluation.journal import read_entries
from counteract.evaluation.processes import Processes, _own
from counteract.evaluation.scores import Row

SCRIPT = """
import os, signal

from counteract.cli import main
from counteract.evaluation import blocks, folder, journal

blocks.BLOCK = folder.BLOCK = 16
added = journal.Journal.add

def add(self, entry):
    added(self, entry)
    if (os.environ["RANK"], os.environ["TORCHELASTIC_RESTART_COUNT"]) == ("1", "0"):
        os.kill(os.getpid(), signal.SIGKILL)

if "RANK" in os.environ:
    journal.Journal.add = add
main()
"""
"""The command with small blocks; of several processes the second dies as soon as it has finished a cell of one."""

SPEC = {"limit": 72, "seeds": 2, "attacks": ["clean", "pgd2"], "defences": ["undefended", "rotation"]}
CELLS = 5 * 2 * 2 * 2


def command(folder: Path) -> list[str]:
    script = folder / "script.py"
    script.write_text(SCRIPT)
    words = [f"--limit={SPEC['limit']}", f"--seeds={SPEC['seeds']}"]
    words += [f"--{name[:-1]}={each}" for name in ("attacks", "defences") for each in SPEC[name]]  # type: ignore[attr-defined]
    return [str(script), "evaluate", *words, f"--out={folder / 'out'}", f"--cache={folder / 'cache'}"]


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"}


def found(folder: Path) -> tuple[list[Row], dict[str, str], dict[str, bytes]]:
    """Returns the rows, the answers bit by bit and the adversarial examples that a run left."""
    run = read_run(folder / "out")
    assert run.complete
    rows = [replace(row, seconds=0, relative_time=0) for row in run.rows]
    answers = {key: entry.correct for key, entry in read_entries(folder / "out").found.items()}
    kept = {path.name: load_file(path)["images"].tobytes() for path in (folder / "cache").rglob("*.safetensors")}
    return rows, answers, kept


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", 16)
        patch.setattr(evaluation_folder, "BLOCK", 16)
        spec = make_spec(spec_for_dataset("digits") | SPEC, "options")
        evaluate_spec(spec, RunOptions(folder=folder / "out", cache=folder / "cache"))
    _, answers, kept = found(folder)
    assert (len(answers), len(kept)) == (CELLS, 5 * 2)
    return folder


def test_killed_in_the_middle_and_run_again(plain: Path, tmp_path: Path) -> None:
    journal = tmp_path / "out" / "journal.jsonl"
    process = subprocess.Popen(
        [sys.executable, *command(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    while process.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") >= 5):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = journal.read_bytes()
    finished = before[: before.rindex(b"\n") + 1]
    assert 5 <= finished.count(b"\n") < CELLS
    assert not (tmp_path / "out" / "results.json").exists()
    subprocess.run([sys.executable, *command(tmp_path)], check=True, capture_output=True, env=environment())
    after = journal.read_bytes()
    assert after.startswith(finished)  # with the times that they took the first time: none was done again
    assert after.count(b"\n") == CELLS
    assert found(tmp_path) == found(plain)


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
    plain: Path, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"127.0.0.1:{free.getsockname()[1]}"
    machines = []
    for _ in range(2):
        machines.append(torchrun(endpoint, *command(tmp_path)))
        time.sleep(1)
    try:
        said = [machine.communicate(timeout=300) for machine in machines]
    finally:
        for machine in machines:
            machine.terminate()
    assert [machine.returncode for machine in machines] == [0, 0], said
    assert sum("(exitcode: -9)" in errors for _, errors in said) == 1
    assert sum(output.count("digits-resnet-mixup on digits, n = 72") for output, _ in said) == 1
    assert found(tmp_path) == found(plain)


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
