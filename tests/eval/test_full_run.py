"""`eval/full/run.sh`: its stages with a Python that only takes notes, and once for real, on tiny networks."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from counteract.cli import main
from counteract.models.files import load_network

FULL = Path(__file__).parents[2] / "eval" / "full"
TIME_UP, NOTHING_LEFT = 10, 20

RECIPE = 'epochs = 6\nbatch_size = 16\nlr = 0.01\nschedule = "one-cycle"\nvalidation = 8\n'

OFTEN_NOTES = """#!/usr/bin/env bash
# Python, but for the stages that differ from others only in what is noted.
case "$*" in
  *throughput.py* | *" table3 "* | *" table4 "*) echo "$@" >>notes ;;
  *) exec PYTHON "$@" ;;
esac
"""

NOTE_TAKER = """#!/usr/bin/env bash
# Notes what it is called with, and makes what a virtual environment has.
echo "$@" >>notes
[[ "$1 $2" != "-m venv" ]] || { mkdir -p venv/bin && cp "$0" venv/bin/python; }
"""


ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}  # a number of threads is part of what is compared bit for bit


def call(command: str, state: Path, *options: object) -> subprocess.CompletedProcess[str]:
    """Calls the script as a person would; its stages have one thread."""
    words = [str(FULL / "run.sh"), command, "--state", str(state), *map(str, options)]
    return subprocess.run(words, capture_output=True, text=True, env=ONE_THREAD)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Training and test images of nothing in particular."""
    folder, random = tmp_path_factory.mktemp("files"), np.random.default_rng(0)
    paths = folder / "noise_train.npz", folder / "noise_test.npz"
    for path in paths:
        images = random.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
        np.savez(path, images=images, labels=np.arange(40) % 10, class_names=[str(digit) for digit in range(10)])
    return paths


def write_python(folder: Path, text: str) -> Path:
    """Writes a Python of our own."""
    python = folder / "python"
    python.write_text(text, encoding="utf-8")
    python.chmod(0o755)
    return python


@pytest.fixture
def noted(files: tuple[Path, Path], tmp_path: Path) -> list[object]:
    """Options for a run whose Python only takes notes; `teach` gives it more to do."""
    return ["--train", files[0], "--test", files[1], "--python", write_python(tmp_path, NOTE_TAKER)]


def teach(folder: Path, line: str) -> None:
    """Gives the Python that takes notes something more to do."""
    with (folder / "python").open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def test_stages_in_their_order(noted: list[object], tmp_path: Path) -> None:
    state, wheels = tmp_path / "state", tmp_path / "wheels"
    wheels.mkdir()
    assert (
        call("all", state, *noted, "--wheels", wheels, "--recipe", "paper", "--width", 8, "--limit", 5).returncode == 0
    )
    notes = (state / "notes").read_text().splitlines()
    data = "--dataset data/noise_train.npz --test data/noise_test.npz --arch resnet50 --width 8 --recipe paper"
    judged = "--dataset data/noise_test.npz --pool data/noise_train.npz --seeds 3 --limit 5 --batch-size 500"
    mixup, iat = (f"--model {method}={method}/model.safetensors" for method in ("mixup", "iat"))
    assert notes[:3] == [
        "-m venv --clear venv",
        f"-m pip install --no-index --find-links {wheels} art-counteract",
        "-m counteract models",
    ]
    assert "throughput.py --arch resnet50 --width 8 --recipe paper --batch-size 500 --out throughput.json" in notes[3]
    assert notes[4:10] == [
        f"-m counteract train --method mixup {data} --out mixup",
        f"-m counteract evaluate table1 {judged} {mixup} --cache examples --out table1",
        f"-m counteract train --method iat {data} --out iat",
        f"-m counteract evaluate table1 {judged} {mixup} {iat} --cache examples --out table1",
        f"-m counteract evaluate table3 {judged} {mixup} --cache examples --out table3",
        f"-m counteract evaluate table4 {judged} {mixup} {iat} --cache examples --out table4",
    ]
    assert [Path(note.split()[0]).name for note in notes[10:]] == ["weights.py", "summary.py"]
    assert call("next", state).returncode == NOTHING_LEFT


def test_a_stage_that_fails_ends_it_and_is_the_next_again(noted: list[object], tmp_path: Path) -> None:
    state = tmp_path / "state"
    teach(tmp_path, '[[ "$*" != *"--method mixup"* || -f mended ]] || { echo "no luck"; exit 3; }')
    failed = call("all", state, *noted)
    assert failed.returncode == 3
    assert "no luck" in failed.stderr
    assert f"train-mixup failed with exit code 3; its log is {state}/logs/train-mixup.log" in failed.stderr
    lines = [line.split()[:2] for line in call("status", state).stdout.splitlines()]
    assert lines[:3] == [["done", "measure"], ["next", "train-mixup"], ["to", "do"]]
    assert len(lines) == 9
    (state / "mended").touch()
    assert call("next", state).returncode == 0
    assert call("status", state).stdout.splitlines()[1].startswith("done   train-mixup")


def test_a_stage_that_never_gets_anywhere_is_an_error(noted: list[object], tmp_path: Path) -> None:
    state = tmp_path / "state"
    teach(tmp_path, "exec sleep 60")
    first = call("next", state, *noted, "--minutes", "0.005")
    assert first.returncode == TIME_UP
    assert "time is up" in first.stdout
    second = call("next", state, "--minutes", "0.005")
    assert second.returncode == 1
    assert "measure made no progress in two calls of 0.005 minutes" in second.stderr
    assert call("all", state, "--minutes", "0.005").returncode == 1


def test_a_stage_that_gets_somewhere_is_called_until_it_is_done(noted: list[object], tmp_path: Path) -> None:
    state = tmp_path / "state"
    teach(tmp_path, "mkdir -p table1; echo >>table1/journal.jsonl")
    teach(tmp_path, "(($(wc -l <table1/journal.jsonl) > 4)) || exec sleep 60")
    assert call("all", state, *noted, "--minutes", "0.005").returncode == 0
    lines = [line.split(",") for line in (state / "stages.csv").read_text().splitlines()]
    assert [(line[0], line[3]) for line in lines[:5]] == [("measure", "124")] * 4 + [("measure", "0")]


def test_one_call_at_a_time(noted: list[object], tmp_path: Path) -> None:
    state = tmp_path / "state"
    call("status", state, *noted)
    with (state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = call("next", state)
    assert refused.returncode == 2
    assert "another call is at work" in refused.stderr
    assert call("next", state).returncode == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seeds", "2"], "--seeds 2 contradicts '3' in"),
        (["--limit", "2"], "--limit 2 contradicts '' in"),
        (["--recipe", "paper"], "--recipe paper contradicts 'fast' in"),
        (["--test", __file__], "--test must name an .npz file"),
        (["--wheels", "nowhere"], "--wheels must name a folder, found 'nowhere'"),
        (["--width", "wide"], "--width must be a positive integer, found 'wide'"),
        (["--minutes", "soon"], "--minutes must be a number, found 'soon'"),
        (["--seeds"], "--seeds lacks its value"),
        (["--sedes", "2"], "'--sedes' is no option"),
    ],
)
def test_a_mistake_is_one_line(noted: list[object], tmp_path: Path, options: list[str], message: str) -> None:
    state = tmp_path / "state"
    assert call("status", state, *noted).returncode == 0
    refused = call("next", state, *options)
    assert refused.returncode == 2
    assert message in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not (state / "stages.csv").exists()
    assert call("status", state, *noted, "--seeds", 3).returncode == 0  # the same again is no contradiction


def test_mistakes_before_there_is_anything(tmp_path: Path) -> None:
    assert "name the data with --train FILE.npz and --test FILE.npz" in call("status", tmp_path / "none").stderr
    assert not (tmp_path / "none").exists()
    assert "the command must be next, all or status, found 'nxt'" in call("nxt", tmp_path).stderr


def interrupt_after_an_epoch(state: Path) -> None:
    """Begins the next stage, which trains Mixup, and ends it after its first checkpoint, which the metrics follow."""
    words = [str(FULL / "run.sh"), "next", "--state", str(state)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, env=ONE_THREAD)
    while process.poll() is None and not (state / "mixup" / "metrics.csv").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 130
    assert not (state / "mixup" / "model.safetensors").exists()


def rows(path: Path) -> list[tuple[str, str, str, float]]:
    """A finished table's accuracies."""
    content = json.loads(path.read_text())
    assert content["complete"]
    return [(row["model"], row["attack"], row["defence"], row["accuracy"]) for row in content["rows"]]


def test_for_real_interrupted_and_called_again(files: tuple[Path, Path], tmp_path: Path) -> None:
    state, recipe = tmp_path / "state", tmp_path / "tiny.toml"
    recipe.write_text(RECIPE, encoding="utf-8")
    small = ["--arch", "resnet8", "--width", "4", "--limit", "2", "--seeds", "1", "--batch-size", "8"]
    python = write_python(tmp_path, OFTEN_NOTES.replace("PYTHON", sys.executable))
    data = ["--train", files[0], "--test", files[1], "--python", python, "--recipe", recipe]
    assert call("next", state, *data, *small).returncode == 0
    interrupt_after_an_epoch(state)
    assert re.search(r"^next   train-mixup +epoch +[1-5]/6$", call("status", state).stdout, re.MULTILINE)
    before = (state / "mixup" / "metrics.csv").read_text().splitlines()[:2]
    done = call("all", state)
    assert done.returncode == 0, done.stderr
    assert (state / "mixup" / "metrics.csv").read_text().splitlines()[:2] == before  # not trained again
    assert {line.split()[0] for line in call("status", state).stdout.splitlines()} == {"done"}
    check_records(state)
    check_against_a_run_without_the_script(state, files, recipe, tmp_path)


def check_records(state: Path) -> None:
    """The records that the stages leave say what they should, and nothing of where they were made."""
    summary = (state / "SUMMARY.md").read_text()
    for method in ("mixup", "iat"):
        assert hashlib.sha256((state / method / "model.safetensors").read_bytes()).hexdigest() in summary
    found = rows(state / "table1" / "results.json")
    assert len(found) == 2 * 7 * 8
    assert {row[0] for row in found} == {"mixup", "iat"}
    assert str(state.parent) not in (state / "table1" / "run.json").read_text()
    assert (state / "table1" / "report.html").exists()
    assert "[table1](table1/report.md) | yes | mixup, iat | 2 | 1 |" in summary
    assert (state / "weights" / "iat.safetensors.00").exists()


def check_against_a_run_without_the_script(state: Path, files: tuple[Path, Path], recipe: Path, folder: Path) -> None:
    """The network and Table 1 are what the command line gives without any script, and without interruption."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        named = ["--dataset", str(files[0]), "--test", str(files[1]), "--recipe", str(recipe)]
        run(["train", "--arch", "resnet8", "--width", "4", *named, "--out", str(folder / "plain")])
        models = [f"--model={method}={state / method / 'model.safetensors'}" for method in ("mixup", "iat")]
        named = ["--dataset", str(files[1]), "--pool", str(files[0]), "--limit", "2", "--seeds", "1"]
        named += ["--attack", "clean", "--attack", "pgd10-targeted", "--cache", str(folder / "cache")]
        run(["evaluate", "table1", *named, *models, "--out", str(folder / "table1")])
    finally:
        torch.set_num_threads(threads)
    ours, plain = (load_network(path / "model.safetensors") for path in (state / "mixup", folder / "plain"))
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), plain.parameters(), strict=True))
    some = rows(folder / "table1" / "results.json")
    assert some == [row for row in rows(state / "table1" / "results.json") if row[1] in ("clean", "pgd10-targeted")]


def run(arguments: list[str]) -> None:
    """Runs the command line here."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 0
