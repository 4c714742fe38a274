"""Attacks that users register, and those of installed packages, which have entry points for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from counteract._plugins import by_name, load_plugin
from counteract._signatures import signature_of
from counteract.attacks.libraries.arguments import bounded_in, check_arguments, first_sentence, fitted
from counteract.attacks.libraries.foreign import Crafting, Recipe, Situation
from counteract.attacks.libraries.names import Spelled
from counteract.attacks.norms import NORMS

GROUP = "counteract.attacks"
"""The group of entry points."""

Factory = Callable[..., Crafting]
"""A function or class that makes an attack: it is called with the network as its first argument, and by their names
with what the user gave and, as far as it has such parameters, with `norm`, `eps`, `num_classes` and `targeted`."""


@dataclass(frozen=True)
class Registered:
    """An attack that somebody registered.

    Attributes:
        factory: The function or class that makes it.
        help: One line about it.
        gradients: True if it uses gradients.
        least_classes: The number of classes that it needs.
    """

    factory: Factory
    help: str
    gradients: bool = True
    least_classes: int = 2


REGISTERED: dict[str, Registered] = {}
"""The attacks that were registered, by their names."""


def names() -> list[str]:
    """Returns the names of all registered attacks, those of installed packages included."""
    return sorted({*REGISTERED, *_entry_points()})


def find(spelled: Spelled) -> Recipe:
    """Returns the way to make a registered attack.

    Raises:
        UserError: (a ValueError) it takes no such arguments, or the package that has it cannot be loaded.
    """
    found = REGISTERED.get(spelled.name) or _load(spelled.name)
    parameters = signature_of(found.factory)
    own = (*list(parameters)[:1], "num_classes", "targeted")
    check_arguments(spelled, parameters, own)
    return Recipe(
        help=found.help,
        make=partial(_make, found.factory),
        gradients=found.gradients,
        targets="targeted" in parameters,
        bounded=bounded_in(parameters, tuple(NORMS), ""),
        least_classes=found.least_classes,
        origin=found.factory,
    )


def _make(factory: Factory, situation: Situation, arguments: Mapping[str, Any]) -> Crafting:
    parameters, norm = signature_of(factory), situation.threat_model.norm
    given = fitted(parameters, arguments, situation.threat_model, norm=norm, measured=norm)
    own = {"num_classes": situation.num_classes, "targeted": situation.targeted}
    return factory(situation.network, **given, **{key: value for key, value in own.items() if key in parameters})


def knows(name: str) -> bool:
    """Returns True where an attack of this name is registered."""
    return name in REGISTERED or name in _entry_points()


@cache
def _entry_points() -> dict[str, list[EntryPoint]]:
    return by_name(entry_points(group=GROUP))


def _load(name: str) -> Registered:
    factory = load_plugin(f"attack {name}", _entry_points()[name])
    return Registered(factory, first_sentence(factory))
