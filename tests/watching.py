"""A watcher that counts, for tests of an evaluation's progress."""

from __future__ import annotations


class Watcher:
    """Adds up the work that is announced and the work that is done; a warning fails the test."""

    def __init__(self) -> None:
        self.begun, self.done = 0, 0
        self.told: list[str] = []

    def begin(self, name: str, total: int) -> None:
        """Counts what is announced."""
        self.begun += total

    def advance(self, count: int) -> None:
        """Counts what is done."""
        self.done += count

    def tell(self, line: str) -> None:
        """Remembers a line."""
        self.told.append(line)

    def warn(self, message: str) -> None:
        """Fails the test."""
        raise AssertionError(message)
