"""Validated data: strict models, and the kinds of numbers that specs and options share."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def not_bool(value: Any) -> Any:
    """Returns anything but True and False, which Python takes for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


def from_fraction(value: Any) -> Any:
    """Reads "8/255" as a number; anything but text is left to pydantic."""
    if not isinstance(value, str):
        return not_bool(value)
    try:  # a fraction of huge exponents would take all memory
        return float(Fraction(value)) if "/" in value else float(value)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise ValueError('must be a number or a fraction such as "8/255"') from None


Count = Annotated[int, BeforeValidator(not_bool), Field(ge=1, lt=2**31)]
"""An integer of at least 1 that tensors can count to."""

Positive = Annotated[float, BeforeValidator(from_fraction), Field(gt=0, allow_inf_nan=False)]
"""A finite number above 0, or a fraction as text."""


def within_range(value: float) -> float:
    """Returns a share of the range of pixels, [0, 1]; above 1 it was meant in grey levels."""
    if value > 1:
        hint = f"did you mean {value:g}/255? " if value <= 255 else ""
        raise ValueError(f"{hint}Pixels have a range of 1, and this should be less than or equal to 1")
    return value


Size = tuple[Count, Count]
"""The least and the greatest side of a square in pixels."""


class Strict(BaseModel):
    """Data that nobody changes and that has no key by mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)
