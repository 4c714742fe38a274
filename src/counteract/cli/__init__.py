"""The `counteract` command: one file a command, each of which parses, calls and prints."""

from counteract.cli.app import main

__all__ = ["main"]
