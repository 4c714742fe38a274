"""Registers every command of `counteract`."""

from counteract.cli import evaluate, models, train  # noqa: F401
