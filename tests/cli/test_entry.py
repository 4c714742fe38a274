"""The command line's entry: exit codes, one line on stderr, and never a traceback for the user's mistakes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import typer

from counteract._errors import UserError
from counteract.cli import entry, main

SMALL = ["evaluate", "--limit", "8", "--attack", "clean", "--attack", "pgd2", "--defence", "undefended", "--defence"]


def call(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return int(stopped.value.code or 0)


def test_help_and_unknown_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert call([]) == 0
    assert "evaluate" in capsys.readouterr().out
    assert call(["evaluate", "--help"]) == 0
    assert "--defence" in capsys.readouterr().out
    assert call(["evaluat"]) == 2


def test_the_command_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "counteract", *SMALL, "rotation"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "rotation" in done.stdout
    assert "100%" in done.stderr
    wrong = subprocess.run(
        [sys.executable, "-m", "counteract", "evaluate", "--attack", "x"], capture_output=True, text=True, check=False
    )
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "Traceback" not in wrong.stderr


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserError("eps must be\n  positive"), 2, "counteract: eps must be positive\n"),
        (KeyboardInterrupt(), 130, "counteract: interrupted\n"),
        (typer.Abort(), 130, "counteract: interrupted\n"),
        (typer.BadParameter("no such thing"), 2, "counteract: Invalid value: no such thing\n"),
    ],
)
def test_an_error_is_one_line(
    error: BaseException, code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(entry, "app", raising(error))
    assert call([]) == code
    assert capsys.readouterr().err == line


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry, "app", raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        main([])


def raising(error: BaseException) -> Callable[..., None]:
    """A command line that ends in an error."""

    def app(**_: object) -> None:
        raise error

    return app
