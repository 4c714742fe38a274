"""The guard around other people's code: what it prints is held back, and it ends nothing."""

from __future__ import annotations

import os
import sys

import pytest
import typer

from counteract.cli.guard import VERBOSE, guarded


def test_what_is_printed_is_held_back_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    told: list[str] = []
    with guarded(told.append):
        typer.echo("one\ntwo")
        typer.echo("three", err=True)
        sys.stdout.buffer.write(b"four")
        sys.stdout.flush()
        kept = sys.stdout
    typer.echo("five", kept)  # whoever remembers the stream may go on
    typer.echo("six")
    assert told == ["3 lines that were printed meanwhile are left out (--verbose shows them)"]
    assert capsys.readouterr() == ("six\n", "")


def test_nothing_is_said_of_nothing_and_of_failures(capsys: pytest.CaptureFixture[str]) -> None:
    told: list[str] = []
    with guarded(told.append):
        pass
    with pytest.raises(KeyError), guarded(told.append):
        typer.echo({"one": 1}["two"])
    assert told == []
    assert capsys.readouterr() == ("", "")


def test_whoever_wants_to_see_everything_does(capsys: pytest.CaptureFixture[str]) -> None:
    told: list[str] = []
    before = VERBOSE.set(True)
    with guarded(told.append):
        typer.echo("one")
    VERBOSE.reset(before)
    assert told == []
    assert capsys.readouterr().out == "one\n"


def test_an_exit_is_an_exit_like_others_but_in_a_child() -> None:
    end = os._exit
    for name in ("os", end.__module__):
        with pytest.raises(SystemExit) as stopped, guarded(print):
            sys.modules[name]._exit(3)
        assert stopped.value.code == 3
    assert os._exit is end
    if not hasattr(os, "fork"):
        return
    with guarded(print):
        child = os.fork()
        if child == 0:
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
