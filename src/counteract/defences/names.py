"""Names of defences as users write them, `A(x=1)+B`, and the parameters that a spec has for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from counteract._calls import Call, parse_call, spell_arguments, split_joined
from counteract._errors import UserError, unknown_name
from counteract._signatures import signature_of, takes_any_name
from counteract._toml import validate
from counteract.defences.registry import (
    UNDEFENDED,
    Defence,
    defence_names,
    find_defence,
    is_registered,
    unknown_defence,
)

Values = Mapping[str, Mapping[str, Any]]
"""Parameters by the names of defences, as far as they differ from the defaults."""


def parse_defence(name: str) -> tuple[Call, ...]:
    """Splits a defence's name into its parts, in the order in which they run; () for `undefended`.

    Names with a colon, ART's and anyone's, are not looked up: a report is read where they may not be installed.

    Raises:
        UserError: (a ValueError) a part cannot be read, or is unknown.
    """
    if name.strip() in (UNDEFENDED, "none"):
        return ()
    calls = tuple(parse_call(part, "defence") for part in split_joined(name, "defence"))
    for call in calls:
        if call.name in (UNDEFENDED, "none"):
            raise UserError(f"defence {name}: {call.name} stands alone, for the network without a defence")
        if ":" not in call.name and not is_registered(call.name):
            raise unknown_defence(call.name)
    return calls


def spell_call(name: str, arguments: Mapping[str, Any]) -> str:
    """Returns a name with arguments as users write it: what `parse_call` reads."""
    return f"{name}({spell_arguments(arguments)})" if arguments else name


def check_parameters(values: Values) -> dict[str, dict[str, Any]]:
    """Returns parameters by the names of their defences, validated; those of strangers are, when they are made.

    Raises:
        UserError: (a ValueError) a defence or a parameter is unknown, or a value is of a wrong kind.
    """
    found = {}
    for name, given in values.items():
        if ":" in name:
            found[name] = dict(given)
            continue
        if not is_registered(name):
            raise unknown_name(
                "defence", name, [each for each in defence_names()[1:] if find_defence(each).like is None]
            )
        defence = find_defence(name)
        if defence.like is not None:
            raise UserError(f"{name} has no parameters of its own: give those of {defence.like}")
        found[name] = checked(defence, given)
    return found


def checked(defence: Defence, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters that were given for a defence, validated.

    Raises:
        UserError: (a ValueError) a parameter is unknown, or a value is of a wrong kind.
    """
    known = defence.parameters.model_fields
    others = {name: value for name, value in given.items() if name not in known}
    if others and (defence.ours or not takes_any_name(defence.factory)):
        raise unknown_name(f"{defence.name}: parameter", next(iter(others)), known)
    made = validate(defence.parameters, {name: given[name] for name in given if name in known}, defence.name)
    found = {name: getattr(made, name) for name in made.model_fields_set} | others
    if defence.ours and "pool" not in signature_of(defence.factory):
        _try(defence, found)
    return found


def _try(defence: Defence, given: Mapping[str, Any]) -> None:
    """Makes a defence of ours on a network that is none, which says what is wrong with its parameters.

    Raises:
        UserError: (a ValueError) a parameter is out of its range.
    """
    try:
        own = {name: value for name, value in given.items() if name not in ("executions", "average")}
        defence.make(nn.Identity(), **own)
    except UserError as error:
        raise UserError(f"{defence.name}: {error}") from error


def parameters_of(call: Call, defence: Defence, values: Values) -> dict[str, Any]:
    """Returns the parameters that hold for one part of a name: what stands in its brackets, else what a spec says."""
    return checked(defence, {**values.get(defence.like or defence.name, {}), **call.arguments})
