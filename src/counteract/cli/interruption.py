"""A sentence for whoever interrupts a command: what is kept, and how to go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopped(KeyboardInterrupt):
    """An interruption, with a sentence about what is kept and how to go on."""


@contextmanager
def kept(words: Callable[[], str]) -> Iterator[None]:
    """Says on interruption what is kept.

    Args:
        words: Returns the sentence.

    Raises:
        Stopped: (a KeyboardInterrupt) the user interrupted the command.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise Stopped(words()) from error
