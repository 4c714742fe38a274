"""Entry to the command line: an error is one line on stderr and exit code 2, never a traceback."""

from __future__ import annotations

import sys

import typer

from counteract._errors import UserError
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


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and exits: 0 on success, 2 for the user's mistakes, 130 when interrupted."""
    try:
        sys.exit(app(args=arguments, standalone_mode=False) or 0)
    except UserError as error:
        _fail(str(error), 2)
    except typer.Abort:
        _fail("interrupted", 130)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except Exception as error:
        # Click's own errors (a missing option, a bad value) carry the exit code that the shell should see.
        if not hasattr(error, "format_message"):
            raise
        _fail(error.format_message(), getattr(error, "exit_code", 2))


def _fail(message: str, code: int) -> None:
    """Prints one line on stderr and exits."""
    print("counteract:", " ".join(message.split()), file=sys.stderr)  # noqa: T201
    sys.exit(code)
