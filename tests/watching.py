"""A watcher that counts, for tests of an evaluation's progress."""

from __future__ import annotations


class Watcher:
    """Adds up the work that is announced and the work that is done; a warning fails the test."""

    def __init__(self) -> None:
        self.begun, self.done = 0, 0

    def begin(self, model: str, work: int) -> None:
        self.begun += work

    def advance(self, work: int) -> None:
        self.done += work

    def warn(self, message: str) -> None:
        raise AssertionError(message)
