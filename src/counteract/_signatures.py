"""Parameters of a stranger's function as validated data: a model made of its signature."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Collection
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, create_model
from pydantic.errors import PydanticUserError

from counteract._values import Strict, from_fraction

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

Fraction = Annotated[float, BeforeValidator(from_fraction)]
"""A number, or a fraction as text."""


class _Loose(Strict):
    """Parameters of any type, for annotations that pydantic does not know."""

    model_config = ConfigDict(arbitrary_types_allowed=True, protected_namespaces=())


def signature_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Returns a function's parameters by their names; none where it does not tell."""
    try:
        return dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return {}


def parameter_model(function: Callable[..., Any], without: Collection[str]) -> type[Strict]:
    """Returns a model of the parameters that a function takes by name; fractions are read where it wants a float.

    Args:
        function: The function, or a class.
        without: Names that are left out.
    """
    hints, fields = _hints(function), {}
    for name, parameter in signature_of(function).items():
        if parameter.kind in _NAMED and name not in without and name != "self":
            default = ... if parameter.default is inspect.Parameter.empty else parameter.default
            fields[name] = (_kind(hints.get(name, Any)), default)
    title = getattr(function, "__name__", type(function).__name__)
    try:
        return create_model(title, __base__=_Loose, **fields)  # type: ignore[call-overload,no-any-return]
    except (PydanticUserError, TypeError, NameError, ValueError):  # of annotations or names that it cannot take
        free = {name: (Any, default) for name, (_, default) in fields.items() if not name.startswith(("_", "model_"))}
        return create_model(title, __base__=_Loose, **free)  # type: ignore[call-overload,no-any-return]


def takes_any_name(function: Callable[..., Any]) -> bool:
    """Returns True where a function has a parameter of the kind `**more`."""
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in signature_of(function).values())


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Returns the annotations, evaluated; none where one of them cannot be."""
    inner = getattr(function, "func", function)  # of a partial
    try:
        return typing.get_type_hints(inner.__init__ if inspect.isclass(inner) else inner)
    except (NameError, TypeError, AttributeError, SyntaxError, ValueError):
        return {}


def _kind(hint: object) -> object:
    """Returns the type to validate by; text for a number is read as a fraction."""
    if hint is float:
        return Fraction
    if hint == (float | None):
        return Fraction | None
    return hint
