"""Things that installed packages bring by entry points: what a name stands for, or in one line why for nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint
from typing import Any

from counteract._errors import UserError, describe


def by_name(entries: Iterable[EntryPoint]) -> dict[str, list[EntryPoint]]:
    """Returns entry points by their names, of which several packages may bring the same one."""
    found: dict[str, list[EntryPoint]] = {}
    for each in entries:
        found.setdefault(each.name, []).append(each)
    return found


def load_plugin(what: str, entries: Sequence[EntryPoint]) -> Any:
    """Returns what the entry points of one name stand for.

    Args:
        what: The kind of thing and its name, for errors: `defence median`.
        entries: The entry points, one at least.

    Raises:
        UserError: (a ValueError) they stand for several things, or loading fails.
    """
    places = list(dict.fromkeys(each.value for each in entries))
    if len(places) > 1:
        raise UserError(f"{what} is brought by several installed packages, {', '.join(places)}: uninstall all but one")
    try:
        return entries[0].load()
    except (Exception, SystemExit) as error:
        raise UserError(f"{what}: {places[0]} of an installed package fails: {describe(error)}") from error
