"""The `counteract` command: one file a command, each of which parses, calls and prints."""

from counteract.cli.entry import main

__all__ = ["main"]
