"""The scripts of examples/ run, offline, and print what they are about."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

SAID = {
    "defend_an_art_classifier.py": "adaptive attack, defended network: ",
    "audit_your_defence.py": "black box: ",
    "compare_with_torchattacks.py": "in the worst case",
}
"""Words that each prints."""


def test_every_script_is_run() -> None:
    assert {path.name for path in (ROOT / "examples").iterdir()} == set(SAID)


@pytest.mark.parametrize("name", SAID)
def test_a_script_runs(name: str, tmp_path: Path) -> None:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "src"),
        "PYTHONWARNINGS": "ignore",
        "XDG_CACHE_HOME": str(tmp_path),
    }
    call = [sys.executable, str(ROOT / "examples" / name)]
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert SAID[name] in done.stdout
