"""Attacks of others by their names: torchattacks, ART, AutoAttack, and what users and packages register."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from textwrap import shorten

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
    "library_lines",
    "namesakes",
]

_WIDTH = 110
"""The number of characters of a library's own words in a list."""


@dataclass(frozen=True)
class Library:
    """A library of attacks.

    Attributes:
        about: One line about all of its attacks.
        names: Returns the names of those that can be used.
        find: Returns the way to make one.
        unusable: The names of the others, and why.
    """

    about: str
    names: Callable[[], list[str]]
    find: Callable[[Spelled], Recipe]
    unusable: Mapping[str, str] = field(default_factory=dict)


LIBRARIES = {
    "torchattacks": Library(
        "any attack of torchattacks, with arguments in brackets: `torchattacks:CW(steps=50)`",
        torchattacks.names,
        torchattacks.find,
    ),
    "art": Library(
        "any evasion attack of ART on classifiers of images: `art:HopSkipJump(max_iter=10)`",
        art.names,
        art.find,
        art.UNUSABLE,
    ),
}
"""The libraries, by what stands before the colon."""


def foreign_names() -> list[str]:
    """Returns the names of attacks of others that have no colon."""
    return [*autoattack.VERSIONS, *registered.names()]


def namesakes(name: str) -> list[str]:
    """Returns the attacks of libraries that have a name, letter case apart: `fgsm` is that of `torchattacks:FGSM`."""
    every = ((library, each) for library, found in LIBRARIES.items() for each in found.names())
    return [f"{library}:{each}" for library, each in every if each.casefold() == name.casefold()]


def foreign_lines() -> list[tuple[str, str]]:
    """Returns the names of attacks of others for lists, with one line about each; a library has one for all of its."""
    libraries = [(f"{library}:NAME", found.about) for library, found in LIBRARIES.items()]
    return [*libraries, *((name, _help(name)) for name in foreign_names())]


def _help(name: str) -> str:
    """Returns one line about an attack; about one that cannot be loaded, the reason."""
    try:
        found = find_foreign(name)
    except UserError as error:
        return str(error)
    return "" if found is None else found.recipe.help


def library_lines(library: str) -> list[tuple[str, str]]:
    """Returns each attack of a library with one line about it: its bound, its needs, and the library's own words.

    Raises:
        UserError: (a ValueError) there is no such library.
    """
    if library not in LIBRARIES:
        raise unknown_name("library of attacks", library, LIBRARIES)
    found = LIBRARIES[library]
    lines = {name: _line(found.find(read_name(f"{library}:{name}"))) for name in found.names()}
    lines |= {name: f"cannot be used here: {why}" for name, why in found.unusable.items()}
    return [(f"{library}:{name}", lines[name]) for name in sorted(lines, key=str.lower)]


def _line(recipe: Recipe) -> str:
    bound = f"eps in {', '.join(recipe.bounded)}" if recipe.bounded else "projected"
    needs = ["gradients"] * recipe.gradients + ["-targeted"] * recipe.targets
    return f"{', '.join([bound, *needs])}: {shorten(recipe.help, _WIDTH, placeholder='...')}"


def find_foreign(text: str) -> Foreign | None:
    """Finds somebody else's attack by its name; None where it is none.

    Raises:
        UserError: (a ValueError) there is no such library, or not such an attack in it, or it takes no such arguments.
    """
    spelled = read_name(text)
    find = _finder(spelled)
    if find is None:
        return None
    recipe = find(spelled)
    if spelled.targeted and not recipe.targets:
        raise UserError(f"attack {spelled.short}: {spelled.place} has no targeted mode; leave out {TARGETED}")
    return Foreign(spelled, recipe)


def _finder(spelled: Spelled) -> Callable[[Spelled], Recipe] | None:
    if spelled.home:
        if spelled.home not in LIBRARIES:
            raise unknown_name("library of attacks", spelled.home, LIBRARIES)
        return LIBRARIES[spelled.home].find
    if spelled.name in autoattack.VERSIONS:
        return autoattack.find
    return registered.find if registered.knows(spelled.name) else None
