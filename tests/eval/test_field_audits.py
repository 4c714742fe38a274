"""`eval/field_audits.sh`, with a `counteract` that only takes notes: each defence once, and on where it was stopped."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from scripts import EVAL

NOTES = """#!/usr/bin/env bash
while (($#)); do
  case $1 in --out) out=$2 ;; --defence) defence=$2 ;; esac
  shift
done
[[ $defence != "$FAILS" ]] || exit 3
mkdir -p "$out"
printf '{"defence": "%s"}' "$defence" >"$out/audit.json"
echo "$defence" >>asked
exit 1
"""


@pytest.fixture
def audit(tmp_path: Path) -> Callable[..., int]:
    command = tmp_path / "bin" / "counteract"
    command.parent.mkdir()
    command.write_text(NOTES)
    command.chmod(0o755)

    def run(fails: str = "") -> int:
        words = [str(EVAL / "field_audits.sh"), "net", "out", "test.npz", "train.npz", "--device", "cpu"]
        environment = os.environ | {"PATH": f"{command.parent}:{os.environ['PATH']}", "FAILS": fails}
        return subprocess.run(words, cwd=tmp_path, env=environment).returncode

    return run


def test_the_defences_are_those_of_the_committed_audits(audit: Callable[..., int], tmp_path: Path) -> None:
    assert audit() == 0
    for network in ("iat", "mixup"):
        committed = {path.name: path for path in (EVAL / "results/field/audits" / network).glob("*.json")}
        made = {path.name: path for path in (tmp_path / "out").glob("*.json")}
        assert made.keys() == committed.keys()
        for name, path in made.items():
            assert json.loads(path.read_text())["defence"] == json.loads(committed[name].read_text())["defence"]


def test_it_ends_with_an_audit_that_could_not_be_finished_and_goes_on_from_there(
    audit: Callable[..., int], tmp_path: Path
) -> None:
    assert audit(fails="hedge") == 3
    before = (tmp_path / "asked").read_text().splitlines()
    assert audit() == 0
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[: len(before) + 1] == [*before, "hedge"]
    assert len(set(asked)) == len(asked) == 12
