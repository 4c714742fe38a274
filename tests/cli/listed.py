"""The names that a command of lists prints, the same in both forms."""

from __future__ import annotations

import re

import pytest

from counteract.cli import main


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Runs a command; returns what it prints."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert not stopped.value.code
    return capsys.readouterr().out


def names_in(command: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Returns the names of a command's table, once each is known to have a line, in the terminal and in Markdown."""
    listed = [line.split() for line in printed([command], capsys).splitlines() if re.match(r"  \S", line)]
    head, *names = [line[0] for line in listed]
    assert head == "name"
    assert all(len(line) > 1 for line in listed)
    markdown = printed([command, "--markdown"], capsys).splitlines()
    assert [re.findall(r"`(.*?)`", line)[0] for line in markdown[2:]] == names
    return names
