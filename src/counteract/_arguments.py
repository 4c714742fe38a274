"""Arguments checked by name: a number, a flag, a text; each error says what was found."""

from __future__ import annotations

import math
import os
from numbers import Integral, Real

import numpy as np

from counteract._errors import UserError, shown


def check_count(name: str, value: object, *, least: int = 1) -> int:
    """Returns an integer of at least `least`, NumPy's among them, as Python's own.

    Raises:
        UserError: (a ValueError) `value` is none.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise UserError(f"{name} must be an integer of at least {least}, found {shown(value)}")
    return int(value)


def check_integer(name: str, value: object, what: str = "an integer") -> int:
    """Returns an integer, NumPy's among them, as Python's own.

    Raises:
        UserError: (a ValueError) `value` is none.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise UserError(f"{name} must be {what}, found {shown(value)}")
    return int(value)


def check_real(name: str, value: object, *, low: float = 0.0, high: float = float("inf"), what: str = "") -> float:
    """Returns a finite number of [low, high], NumPy's among them, as Python's own.

    Args:
        name: The argument's name in the error.
        value: The number.
        low: The least that it may be.
        high: The greatest.
        what: More about the range, for the error.

    Raises:
        UserError: (a ValueError) `value` is none.
    """
    number = math.nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)
    if not (low <= number <= high and math.isfinite(number)):
        raise UserError(f"{name} must be a number from {low:g} to {high:g}{what}, found {shown(value)}")
    return number


def check_flag(name: str, value: object) -> bool:
    """Returns True or False, NumPy's among them, as Python's own.

    Raises:
        UserError: (a ValueError) `value` is neither.
    """
    if not isinstance(value, bool | np.bool_):
        raise UserError(f"{name} must be True or False, found {shown(value)}")
    return bool(value)


def check_text(name: str, value: object, what: str) -> str:
    """Returns a name, or a path as text.

    Args:
        name: The argument's name in the error.
        value: The text.
        what: The error's words for what it should be.

    Raises:
        UserError: (a ValueError) `value` is neither.
    """
    found = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(found, str):
        raise UserError(f"{name} must be {what}, found {shown(value)}")
    return found
