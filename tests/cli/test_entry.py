"""The command line's entry: exit codes, one line on stderr, and no traceback unasked."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

import counteract
from counteract._errors import StrangersError, UserError
from counteract.cli import entry, main
from counteract.cli.interruption import Stopped

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
        (UserError("eps must be\n  positive"), 2, "eps must be positive"),
        (StrangersError("model a:b failed with KeyError"), 2, "model a:b failed with KeyError (--verbose shows where)"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (Stopped("what is finished is kept in a"), 130, "interrupted: what is finished is kept in a"),
        (typer.Abort(), 130, "interrupted"),
        (typer.BadParameter("no such thing"), 2, "Invalid value: no such thing"),
        (FileNotFoundError(2, "No such file or directory", "a"), 2, "a: No such file or directory"),
        (OSError(28, "No space left on device"), 2, "the output: No space left on device"),
        (MemoryError(), 3, "the memory of this machine is not enough"),
        (SystemExit(1), 3, "internal error: SystemExit: 1 (please report it with what --verbose shows)"),
        (
            ZeroDivisionError("division\nby zero"),
            3,
            "internal error: ZeroDivisionError: division by zero (please report it with what --verbose shows)",
        ),
        (EOFError(), 3, "internal error: EOFError (please report it with what --verbose shows)"),
    ],
)  # fmt: skip
def test_an_error_is_one_line(
    error: BaseException, code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(entry, "_run", raising(error))
    assert call([]) == code
    assert capsys.readouterr().err == f"counteract: {line}\n"


@pytest.mark.parametrize("error", [UserError("x" * 5000), StrangersError("x " * 5000), ValueError("x" * 5000)])
def test_a_line_has_at_most_300_characters(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(entry, "_run", raising(error))
    call([])
    line = capsys.readouterr().err.rstrip("\n")
    assert 290 < len(line) <= 300
    assert line.startswith("counteract: ")


@pytest.mark.parametrize("arguments", [["--verbose", "report", "nowhere"], ["report", "nowhere", "--verbose"]])
def test_every_command_shows_where_an_error_came_from_if_asked(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "UserError: nowhere holds no run" in lines[-2]
    assert lines[-1].startswith("counteract: nowhere holds no run")


COMMANDS = ["attacks", "audit", "cache", "datasets", "defences", "evaluate", "models", "report", "train"]


def test_version_and_help_are_options_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ([], *([command] for command in COMMANDS)):
        assert call([*command, "--version"]) == 0
        assert capsys.readouterr().out == f"counteract {counteract.__version__}\n"
        for option in ("-h", "--help"):
            assert call([*command, option]) == 0
            assert "--verbose" in capsys.readouterr().out


def test_an_argument_that_is_no_text_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["evaluate", "--dataset", "\udcff.npz"]) == 2
    assert capsys.readouterr().err == "counteract: the argument '\\udcff.npz' is not UTF-8\n"


def test_what_libraries_warn_of_is_shown_if_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def warn(_: object) -> int:
        warnings.warn("a change to come", stacklevel=1)
        logging.getLogger("library").warning("a line of a log")
        return 0

    monkeypatch.setattr(entry, "_run", warn)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert call([]) == 0
        assert (warned, capsys.readouterr().err) == ([], "")
        assert call(["--verbose"]) == 0
    assert [str(each.message) for each in warned] == ["a change to come"]
    assert capsys.readouterr().err == "a line of a log\n"


def started(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Starts the command itself, which hears Ctrl-C also where whoever runs the tests does not."""
    pipes: dict[str, Any] = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "preexec_fn": _hear_interrupts,
    } | options
    return subprocess.Popen([sys.executable, "-m", "counteract", *arguments], text=True, **pipes)


def _hear_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_output_that_nobody_reads_is_no_flag_and_no_traceback() -> None:
    with started("defences") as process:
        assert process.stdout is not None
        process.stdout.close()
        _, seen = process.communicate()
    assert (process.returncode, seen) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_an_output_that_is_full_is_one_line() -> None:
    with Path("/dev/full").open("w") as full, started("defences", stdout=full) as process:
        _, seen = process.communicate()
    assert (process.returncode, seen) == (2, "counteract: the output: No space left on device\n")


def test_completion_knows_commands_and_their_options() -> None:
    for words, expected in (("counteract ev", "evaluate"), ("counteract audit --lim", "--limit")):
        environment = os.environ | {
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
            "_COUNTERACT_COMPLETE": "complete_bash",
        }
        with started(env=environment) as process:
            seen, errors = process.communicate()
        assert (process.returncode, seen.split(), errors) == (0, [expected], "")


def test_ctrl_c_says_what_is_kept_and_how_to_go_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    line = ["evaluate", "--limit", "400", "--attack", "apgd-t", "--preset", "full", "--defence", "counteraction"]
    with started(*line, "--device", "cpu", "--out", str(out), "--cache", str(tmp_path / "cache")) as process:
        until = time.monotonic() + 100
        while not (out / "run.json").exists():
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, seen = process.communicate()
    assert process.returncode == 130
    kept = f"what is finished is kept in {out}; the same command goes on from there"
    cost, last = seen.splitlines()
    assert "at most 4,400 forward passes" in cost
    assert last == f"counteract: interrupted: {kept}"


def raising(error: BaseException) -> Callable[..., int]:
    """Returns a function that ends in an error."""

    def run(*_: object) -> int:
        raise error

    return run


def test_the_users_own_code_is_shown_if_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own_of_mine.py").write_text("def make():\n    return {}['layer']\n")
    monkeypatch.chdir(tmp_path)
    line = ["evaluate", "--model", "own_of_mine:make", "--device", "cpu", "--cache", "cache"]
    assert call(line) == 2
    said = "counteract: model own_of_mine:make failed with KeyError: 'layer' (--verbose shows where)\n"
    assert capsys.readouterr() == ("", said)
    assert call([*line, "--verbose"]) == 2
    seen = capsys.readouterr().err
    assert "own_of_mine.py\", line 2, in make\n    return {}['layer']" in seen
    assert seen.endswith(said)


def test_an_audit_that_cannot_be_finished_does_not_look_like_a_flag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("counteract.auditing.audit_spec", raising(IndexError("ours")))
    assert call(["audit", "--device", "cpu", "--cache", str(tmp_path)]) == 3
    assert "internal error: IndexError: ours" in capsys.readouterr().err
