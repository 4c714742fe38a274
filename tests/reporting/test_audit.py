"""An audit as text, and the audit in the folder of a run."""

from __future__ import annotations

import copy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from reporting.audited import FLAGGED, SOUND
from reporting.synthetic import adaptive, half_finished

from counteract._sealed import seal
from counteract.reporting.audit import Findings, audit_lines, findings, read_findings

CONTENT: dict[str, Any] = {
    "sound": False, "defence": "rotation",
    "checks": [
        {"name": "spread", "flag": None, "words": "it takes two seeds"},
        {"name": "black box", "flag": False, "words": "fine"},
        {"name": "gain", "flag": True, "words": "not confirmed"},
    ],
    "notes": ["AutoAttack warns"],
}  # fmt: skip
WANTED = Findings(
    "rotation",
    (("FLAG", "gain", "not confirmed"), ("ok", "black box", "fine"), ("-", "spread", "it takes two seeds")),
    ("AutoAttack warns",),
)


def test_flags_come_first() -> None:
    before = copy.deepcopy(CONTENT)
    assert findings(CONTENT) == WANTED
    assert before == CONTENT


def test_the_verdict() -> None:
    assert WANTED.verdict == "rotation: 1 red flag. What it gains is not to be relied on."
    two = Findings("d", (("FLAG", "a", ""), ("FLAG", "b", "")), ())
    assert two.verdict == "d: 2 red flags. What it gains is not to be relied on."
    assert Findings("d", WANTED.checks[1:], ()).verdict == "d: sound as far as this preset goes: no flag is up."


@pytest.mark.parametrize(
    ("checks", "word", "reason", "line"),
    [
        (0, "worse than no defence", "-9 points", "d: worse than no defence: -9 points. 1 red flag. What it gains"),
        (1, "sound", "+9 points", "d: sound as far as this preset goes: no flag is up: +9 points."),
        (1, "sound", "no flag is up", "d: sound as far as this preset goes: no flag is up."),
        (1, "no gain", "+0 points", "d: no gain: +0 points. No flag is up."),
        (1, "cannot tell", "too few", "d: cannot tell: too few. No flag is up."),
    ],
)
def test_the_verdict_in_a_word(checks: int, word: str, reason: str, line: str) -> None:
    assert Findings("d", WANTED.checks[checks:], (), word, reason).verdict.startswith(line)


def test_what_was_left_out_is_said() -> None:
    lines = audit_lines(replace(FLAGGED, skipped=("square", "the tests of the attack")))
    assert "note left out, because the verdict could not change: square, the tests of the attack" in lines
    assert lines[-1].startswith("rotation: gain not confirmed: +0 points. 1 red flag.")
    assert not any("left out" in line for line in audit_lines(SOUND))


def write(folder: Path, **changes: Any) -> Path:
    rows = [asdict(row) for row in adaptive().rows]
    path = folder / "audit.json"
    path.write_bytes(seal(CONTENT | {"rows": rows} | changes, indent=1))
    return path


def test_the_audit_of_a_folder(tmp_path: Path) -> None:
    assert read_findings(tmp_path, adaptive()) is None
    write(tmp_path)
    assert read_findings(tmp_path, adaptive()) == WANTED


def test_an_audit_of_other_accuracies_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path)
    wanted = f"{path} is about other accuracies than this run has, and left out; run the audit again"
    assert read_findings(tmp_path, half_finished()) == wanted


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-20],
        lambda text: text.replace(b"not confirmed", b"now confirmed"),
        lambda text: text.replace(b'"flag": true', b'"flag": null', 1),
        lambda text: b"[]",
        lambda text: seal({"checks": 5}),
        lambda text: seal(CONTENT | {"rows": [5]}),
        lambda text: seal(CONTENT | {"checks": [{"name": "a", "flag": "x", "words": ""}], "rows": []}),
    ],
)
def test_a_damaged_audit_is_left_out(damage: Any, tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    found = read_findings(tmp_path, adaptive())
    assert isinstance(found, str)
    assert found.startswith(f"{path} is damaged and left out (")
