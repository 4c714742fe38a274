"""Arguments of somebody else's attacks: those that a user may give, and those that follow the threat model."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from counteract._errors import UserError, unknown_name
from counteract.attacks.libraries.names import Spelled
from counteract.attacks.norms import NORMS, Name
from counteract.attacks.threat_model import ThreatModel

Parameters = Mapping[str, inspect.Parameter]
"""The parameters of a constructor or a factory by their names."""

_BOUNDS = ("eps", "max_epsilon")
"""The names of a bound on the change."""

_STEPS = ("alpha", "eps_step")
"""The names of a step's size."""

_LINK, _END = re.compile(r"\s*[\[|(]?\s*(?:Paper link: )?https?://"), re.compile(r"(?<!\bal)\.(?=\s+[A-Z]|$)")
"""The beginning of a link, and the end of a sentence."""

_COLLECTING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

_SPELLINGS: dict[Name, tuple[object, ...]] = {
    "Linf": ("Linf", "inf", math.inf),
    "L2": ("L2", "2", 2),
    "L1": ("L1", "1", 1),
}
"""The ways in which libraries write a norm."""


def first_sentence(made: object) -> str:
    """Returns the first sentence of the documentation of a class or a function, without links and full stop."""
    paragraph = _LINK.split((inspect.getdoc(made) or "").strip())[0].partition("\n\n")[0]
    return _END.split(" ".join(paragraph.split()))[0].strip()


def check_arguments(spelled: Spelled, parameters: Parameters, own: Collection[str]) -> None:
    """Makes sure that an attack takes the arguments in its brackets, and that none is missing that nobody else gives.

    Args:
        spelled: The attack's name.
        parameters: Its parameters.
        own: Those among them that are not the user's to give.

    Raises:
        UserError: (a ValueError) one is unknown or missing, or no number where the default is one.
    """
    named = {name: each for name, each in parameters.items() if each.kind not in _COLLECTING and name not in own}
    anything = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())
    for name, value in spelled.arguments.items():
        if name in own or (name not in named and not anything):
            raise UserError(f"attack {spelled.short}: {unknown_name('argument', name, named)}")
        if name in named and name != "norm" and _is_number(named[name].default) and not _is_number(value):
            raise UserError(f"attack {spelled.short}: {name} must be a number, found {value!r}")
    given = {*spelled.arguments, *_BOUNDS, "norm"}
    missing = [name for name, each in named.items() if each.default is each.empty and name not in given]
    if missing:
        raise UserError(f"attack {spelled.short}: {spelled.place} cannot do without {', '.join(missing)}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def bound_of(parameters: Parameters) -> str | None:
    """Returns the name of the parameter that bounds the change; None where there is none."""
    return next((name for name in _BOUNDS if name in parameters), None)


def bounded_in(parameters: Parameters, known: Collection[Name], measured: str) -> tuple[Name, ...]:
    """Returns the norms of threat models that an attack's own bound follows.

    Args:
        parameters: The attack's parameters.
        known: The norms that it takes as an argument.
        measured: The norm that its bound is measured in where it takes none.
    """
    if bound_of(parameters) is None:
        return ()
    return tuple(norm for norm in NORMS if (norm in known if known else norm == measured))


def fitted(
    parameters: Parameters, given: Mapping[str, Any], threat_model: ThreatModel, *, norm: object, measured: object
) -> dict[str, Any]:
    """Returns the arguments with a norm and a bound from the threat model where the user gave none.

    A step's size that was not given keeps the share of the bound that it has by default.

    Args:
        parameters: The attack's parameters.
        given: The arguments that the user gave.
        threat_model: The bound on a change.
        norm: The library's word for the threat model's norm, for attacks of which it is an argument; None for others.
        measured: The norm that the bound of all others is measured in.
    """
    found = dict(given)
    if norm is not None and "norm" in parameters:
        measured = found.setdefault("norm", norm)
    bound, step = bound_of(parameters), next((name for name in _STEPS if name in parameters), None)
    if bound is None:
        return found
    if measured in _SPELLINGS[threat_model.norm]:
        found.setdefault(bound, threat_model.eps)
    if step is not None and step not in found and bound in found:
        sizes = found[bound], parameters[step].default, parameters[bound].default
        if all(map(_is_number, sizes)):
            found[step] = sizes[0] * sizes[1] / sizes[2]
    return found
