"""The one exception that means "the caller can mend this": the command line prints it as a single line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST = 80
"""The number of characters of a value that an error shows."""


class UserError(ValueError):
    """A mistake in what the caller passed in; the message names the argument, what was found and what to do."""


def shown(value: object) -> str:
    """Returns a value as an error shows it: on one line, which is cut if it is long."""
    line = " ".join(repr(value).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} ..."


def unknown_name(kind: str, name: str, known: Iterable[str], otherwise: str = "") -> UserError:
    """The error for a name that is none of `known`: it lists the near ones, or all of them.

    Args:
        kind: The kind of thing that was named: `"dataset"`, say.
        name: The name that was found.
        known: The names there are.
        otherwise: Something else that would have done in place of a known name.
    """
    known = list(known)
    near = difflib.get_close_matches(name, known, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join([*known, *filter(None, [otherwise])])}"
    return UserError(f"{kind} {name!r} is not known; {hint}")
