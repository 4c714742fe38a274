"""Progress where there is no terminal: a line now and then, and the bars once all went well."""

from __future__ import annotations

import io
import re
import time

import pytest
from rich.console import Console
from rich.progress import Progress

from counteract import _progress
from counteract._progress import shown


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "_PERIOD", 0.05)


def watched(*, terminal: bool = False, disable: bool = False) -> tuple[Progress, io.StringIO]:
    seen = io.StringIO()
    return Progress(console=Console(file=seen, force_terminal=terminal, width=100), disable=disable), seen


def wait_for(words: str, seen: io.StringIO) -> None:
    until = time.monotonic() + 10
    while not re.search(words, seen.getvalue()):
        assert time.monotonic() < until, seen.getvalue()
        time.sleep(0.01)


def test_a_line_now_and_then_says_how_far_it_is() -> None:
    progress, seen = watched()
    with shown(progress):
        wait_for(r"^preparing, 0:00:00 gone\n", seen)
        task = progress.add_task("net[0]", total=8)
        progress.advance(task, 1)
        time.sleep(0.01)
        progress.advance(task, 1)
        wait_for(r"net\[0\]: 25%, 0:00:00 gone, 0:00:\d\d left\n", seen)
        wait_for(r"net\[0\]: 25%, 0:00:00 gone\n", seen)  # nothing moved since: an estimate would be an old one
    assert seen.getvalue().splitlines()[-1].startswith("net[0] ━━━")
    lines = len(seen.getvalue().splitlines())
    time.sleep(0.2)
    assert len(seen.getvalue().splitlines()) == lines


def test_what_fails_at_once_leaves_nothing() -> None:
    progress, seen = watched()
    progress.add_task("net", total=8)
    with pytest.raises(KeyError), shown(progress):
        raise KeyError
    assert seen.getvalue() == ""


def test_what_is_disabled_says_nothing() -> None:
    progress, seen = watched(disable=True)
    with shown(progress):
        time.sleep(0.2)
    assert seen.getvalue() == ""


def test_a_terminal_shows_bars_and_no_lines() -> None:
    progress, seen = watched(terminal=True)
    with shown(progress):
        progress.add_task("net", total=8)
        wait_for("net.*━", seen)
        time.sleep(0.2)
    assert "gone" not in seen.getvalue()
