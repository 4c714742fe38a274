"""`eval/benchmarks/shortcuts.py`: each way is measured as it says, and a table comes out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from scripts import load_script

ARGUMENTS = ["--dataset", "digits", "--limit", "16", "--attack", "clean", "pgd3", "--model", "net=digits-resnet-mixup"]


def test_the_table_and_what_it_is_made_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["shortcuts.py", *ARGUMENTS, "--out", str(tmp_path)])
    load_script("benchmarks/shortcuts.py").main()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| net, ")]
    assert len(lines) == 2 * 14
    assert sum(line.endswith("| - |") for line in lines) == 2 * 9  # nothing to combine without counteraction
    specs = {
        way: json.loads((tmp_path / way / "run.json").read_text())["spec"] for way in ("exact", "bf16", "sign-of-sum")
    }
    assert specs["bf16"] == specs["exact"] | {"precision": "bf16"}
    assert specs["exact"]["parameters"]["counteraction"].get("combine") is None
    assert specs["sign-of-sum"]["parameters"]["counteraction"]["combine"] == "sign-of-sum"


def test_defences_without_counteraction_have_nothing_to_combine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["shortcuts.py", *ARGUMENTS, "--defence", "undefended", "--out", str(tmp_path)])
    load_script("benchmarks/shortcuts.py").main()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| net, ")]
    assert len(lines) == 2
    assert all(line.endswith("| - |") for line in lines)
