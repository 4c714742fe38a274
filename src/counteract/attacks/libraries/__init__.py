"""Attacks of others by their names: torchattacks, ART, AutoAttack, and what users and packages register."""

from __future__ import annotations

from collections.abc import Callable

from counteract._errors import UserError, unknown_name
from counteract.attacks.libraries import art, autoattack, registered, torchattacks
from counteract.attacks.libraries.foreign import AttackError, AttackWarning, Foreign, Recipe, heard
from counteract.attacks.libraries.names import TARGETED, Spelled, read_name

__all__ = [
    "LIBRARIES",
    "AttackError",
    "AttackWarning",
    "Foreign",
    "find_foreign",
    "foreign_lines",
    "foreign_names",
    "heard",
]

LIBRARIES: dict[str, Callable[[Spelled], Recipe]] = {"torchattacks": torchattacks.find, "art": art.find}
"""The libraries, by what stands before the colon."""


def foreign_names() -> list[str]:
    """Returns the names of attacks of others that have no colon."""
    return [*autoattack.VERSIONS, *registered.names()]


def foreign_lines() -> list[tuple[str, str]]:
    """Returns the names of attacks of others for lists, with one line about each; a library has one for all of its."""
    lines = [
        (
            "torchattacks:NAME",
            "any attack of torchattacks, with arguments in brackets: `torchattacks:CW(steps=50)`",
        ),
        ("art:NAME", "any evasion attack of ART on classifiers of images: `art:HopSkipJump(max_iter=10)`"),
    ]
    named = ((name, find_foreign(name)) for name in foreign_names())
    return [*lines, *((name, found.recipe.help) for name, found in named if found)]


def find_foreign(text: str) -> Foreign | None:
    """Finds somebody else's attack by its name; None where it is none.

    Raises:
        UserError: (a ValueError) there is no such library, or not such an attack in it, or it takes no such arguments.
    """
    spelled = read_name(text)
    finder = _finder(spelled)
    if finder is None:
        return None
    recipe = finder(spelled)
    if spelled.targeted and not recipe.targets:
        raise UserError(f"attack {spelled.short}: {spelled.place} has no targeted mode; leave out {TARGETED}")
    return Foreign(spelled, recipe)


def _finder(spelled: Spelled) -> Callable[[Spelled], Recipe] | None:
    if spelled.library:
        if spelled.library not in LIBRARIES:
            raise unknown_name("library of attacks", spelled.library, LIBRARIES)
        return LIBRARIES[spelled.library]
    if spelled.name in autoattack.VERSIONS:
        return autoattack.find
    return registered.find if spelled.name in registered.names() else None
