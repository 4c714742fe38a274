"""The `counteract` command: one file a command, each of which parses, calls and prints."""

from __future__ import annotations

import sys

from counteract._errors import UserError
from counteract._extras import needing

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and exits: with 2 and a line where what it needs is not installed."""
    try:
        with needing("evaluate"):
            from counteract.cli import entry
    except UserError as error:
        print(f"counteract: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    entry.main(arguments)
