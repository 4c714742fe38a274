"""`eval/benchmarks/memory.py`: random images in a file, a command that is measured, and a table of ratios."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from scripts import EVAL, load_script

from counteract.datasets import load_dataset


def test_random_images_are_a_dataset_that_stays_in_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = load_script("benchmarks/command.py")
    monkeypatch.setattr(command, "CHUNK", 4)
    path = command.write_random(tmp_path, 10)
    data = load_dataset(str(path))
    assert len(data) == 10
    assert data.image_shape == (3, 32, 32)
    assert len(data.images.flatten(1).unique(dim=0)) == 10
    assert all(entry.compress_type == zipfile.ZIP_STORED for entry in zipfile.ZipFile(path).infolist())


def test_a_command_that_fails_is_named_with_what_it_said(tmp_path: Path) -> None:
    command = load_script("benchmarks/command.py")
    with pytest.raises(SystemExit, match=r"--attack nosuch failed: counteract: .*nosuch"):
        command.evaluate(command.write_random(tmp_path, 2), ["--model", "digits-resnet-mixup", "--attack", "nosuch"])


def test_the_table_for_real() -> None:
    """In a process of its own: pytest's is larger than the command, whose peak it would hide."""
    words = [sys.executable, str(EVAL / "benchmarks" / "memory.py"), "--examples", "--few", "4", "8", "--threads", "1"]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    found = [[part.strip() for part in line.strip("|").split("|")] for line in lines[2:]]
    assert [row[:2] for row in found] == [["40 weights, clean alone", "4"], ["40 weights, clean alone", "8"]]
    assert found[0][4] == "1.000"
    assert float(found[1][4]) == pytest.approx(float(found[1][3]) / float(found[0][3]), abs=2e-3)
    assert float(found[0][3]) > 100
