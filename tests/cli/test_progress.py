"""The progress of a run as it is seen: bars and lines on stderr, and nothing on stdout."""

from __future__ import annotations

import pytest

from counteract.cli.progress import ProgressBar

LINE = "networks:three: worst case so far [of 256 examples], " + "a long line that nothing breaks " * 5


def test_what_is_told_is_one_line_on_stderr_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar() as watcher:
        watcher.begin("nets[1]:three:", 10)
        watcher.advance(5)
        watcher.tell(LINE)
        assert LINE.rstrip() in [line.rstrip() for line in capsys.readouterr().err.splitlines()]
        watcher.warn("out of memory [8 images]")
        assert capsys.readouterr().err == "out of memory [8 images]\n"
        watcher.advance(5)
    printed = capsys.readouterr()
    assert "nets[1]:three:" in printed.err
    assert "100%" in printed.err
    assert printed.out == ""


def test_of_several_processes_one_shows_what_is_known_and_all_warn(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar(active=False) as watcher:
        watcher.begin("net", 10)
        watcher.advance(10)
        watcher.tell(LINE)
        watcher.warn("out of memory")
    assert capsys.readouterr().err == "out of memory\n"
