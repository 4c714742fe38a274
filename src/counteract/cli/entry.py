"""Entry to the command line: whatever goes wrong is one line on stderr and an exit code, never a traceback unasked."""

from __future__ import annotations

import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer

from counteract._errors import LONGEST, StrangersError, UserError, describe, one_line
from counteract._extras import explain_missing
from counteract._interrupts import telling_interrupts
from counteract.cli import (  # noqa: F401  (importing a command registers it)
    attacks,
    audit,
    cache,
    datasets,
    defences,
    evaluate,
    models,
    report,
    train,
)
from counteract.cli.app import app
from counteract.cli.guard import VERBOSE
from counteract.cli.interruption import Stopped

_NAME = "counteract"

MISTAKE, UNFINISHED, NO_READER, INTERRUPTED = 2, 3, 141, 130
"""The exit codes for the user's mistakes, for a failure of another kind, for an output that nobody reads any more, and
for an interruption; 0 is success, 1 an audit's red flag, and 3 an audit that cannot tell, too."""


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and exits, with a code as above."""
    if "_COUNTERACT_COMPLETE" in os.environ:
        app(prog_name=_NAME)  # which exits
    given = sys.argv[1:] if arguments is None else arguments
    verbose = VERBOSE.set("--verbose" in given)
    try:
        with _libraries_silent():
            try:
                code = _run(given)
            except BaseException as error:  # noqa: BLE001  (the one place where everything ends in a line)
                code = _fail(error)
    finally:
        VERBOSE.reset(verbose)
    sys.exit(code)


@contextmanager
def _libraries_silent() -> Iterator[None]:
    """Keeps warnings and logs of libraries from stderr, unless the user wants to see everything."""
    if VERBOSE.get():
        yield
        return
    root, nowhere = logging.getLogger(), logging.NullHandler()
    root.addHandler(nowhere)
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")
            yield
    finally:
        root.removeHandler(nowhere)


def _run(arguments: Sequence[str]) -> int:
    """Runs a command; returns its exit code."""
    with telling_interrupts():
        _check_text(arguments)
        try:
            with typer.main.get_command(app).make_context(_NAME, list(arguments)) as context:
                context.command.invoke(context)
        except typer.Exit as stopped:
            return stopped.exit_code
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    return 0


def _check_text(arguments: Sequence[str]) -> None:
    """Raises UserError for an argument that is no text, which no report could name."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"the argument {argument!r} is not UTF-8") from error


def _fail(error: BaseException) -> int:
    """Says in one line on stderr what went wrong, after its traceback if the user wants to see that."""
    if isinstance(error, SystemExit) and not error.code:  # of an option that does something else, and did it
        return 0
    of_rich = error.__context__ if isinstance(error, SystemExit) else None
    if isinstance(error, BrokenPipeError) or isinstance(of_rich, BrokenPipeError):
        _close_stdout()
        return NO_READER
    if isinstance(error, OSError):
        _close_stdout()
    if VERBOSE.get():
        traceback.print_exception(error)
    message, hint, code = _explain(error)
    line = one_line(f"{_NAME}: {message}", LONGEST - len(hint)) + hint
    if sys.stderr is not None:
        print(line, file=sys.stderr)  # noqa: T201
    return code


def _explain(error: BaseException) -> tuple[str, str, int]:
    """Returns a message, a hint to be put behind it, and the exit code."""
    if isinstance(error, ImportError):
        error = explain_missing(error) or error
    if isinstance(error, StrangersError):
        return str(error), " (--verbose shows where)", MISTAKE
    if isinstance(error, UserError):
        return str(error), "", MISTAKE
    if isinstance(error, Stopped):
        return f"interrupted: {error}", "", INTERRUPTED
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return "interrupted", "", INTERRUPTED
    if hasattr(error, "format_message"):  # Click's own: a missing option, a bad value
        return error.format_message(), "", MISTAKE
    if isinstance(error, OSError):
        return f"{error.filename or 'the output'}: {error.strerror or describe(error)}", "", MISTAKE
    if isinstance(error, MemoryError):
        return "the memory of this machine is not enough", "", UNFINISHED
    return f"internal error: {describe(error)}", " (please report it with what --verbose shows)", UNFINISHED


def _close_stdout() -> None:
    """Lets nothing more be written to stdout, or Python complains when it ends that it cannot."""
    try:
        sys.stdout.flush()
    except (AttributeError, ValueError, OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
