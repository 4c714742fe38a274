"""The exceptions that mean "the caller can mend this": the command line prints each as a single line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

_LONGEST = 80
"""The number of characters of a value that an error shows."""

LONGEST = 300
"""The number of characters of the longest line that says what is wrong."""

_GAP = " ... "


class UserError(ValueError):
    """A mistake in what the caller passed in; the message names the argument, what was found and what to do.

    Args:
        message: The message, which is put on one line.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class StrangersError(UserError):
    """Code that is not ours failed; the cause is what it raised."""


def describe(error: BaseException) -> str:
    """Returns an error's type and message; of a message that cannot be had the type alone."""
    try:
        message = str(error)
    except BaseException:  # noqa: BLE001  (a stranger's `__str__`)
        message = ""
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def one_line(text: str, longest: int = LONGEST) -> str:
    """Returns a text on one line: what cannot be printed as an escape, and without its middle where it is too long."""
    if len(text) > 4 * longest:
        text = text[: 2 * longest] + text[-2 * longest :]
    words = " ".join(text.split())
    line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in words)
    if len(line) <= longest:
        return line
    behind = longest // 3
    return line[: longest - behind - len(_GAP)] + _GAP + line[-behind:]


def shown(value: object) -> str:
    """Returns a value as an error shows it: on one line, which is cut if it is long."""
    line = " ".join(repr(value).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} ..."


def unknown_name(
    kind: str, name: str, known: Iterable[str], otherwise: str = "", *, namesakes: Sequence[str] = ()
) -> UserError:
    """The error for a name that is none of `known`: it lists the near ones, letter case apart, or all of them.

    Args:
        kind: The kind of thing that was named: `"dataset"`, say.
        name: The name that was found.
        known: The names there are.
        otherwise: Something else that would have done in place of a known name.
        namesakes: The names elsewhere of what is called the same there.
    """
    known = list(known)
    spelled = {each.casefold(): each for each in reversed(known)}
    cutoff = 0.6 if namesakes else 0.5
    near = [spelled[each] for each in difflib.get_close_matches(name.casefold(), spelled, cutoff=cutoff)]
    near += namesakes
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join([*known, *filter(None, [otherwise])])}"
    return UserError(f"{kind} {name!r} is not known; {hint}")
