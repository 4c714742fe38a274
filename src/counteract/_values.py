"""Validated data: strict models, and the kinds of numbers that specs and options share."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def from_fraction(value: Any) -> Any:
    """Reads "8/255" as a number; anything but text is left to pydantic."""
    if not isinstance(value, str):
        return value
    try:
        return float(Fraction(value))
    except (ValueError, ZeroDivisionError):
        raise ValueError('must be a number or a fraction such as "8/255"') from None


Count = Annotated[int, Field(ge=1)]
"""An integer of at least 1."""

Positive = Annotated[float, BeforeValidator(from_fraction), Field(gt=0, allow_inf_nan=False)]
"""A finite number above 0, or a fraction as text."""


def within_range(value: float) -> float:
    """Returns a share of the range of pixels, [0, 1]; above 1 it was meant in grey levels."""
    if value > 1:
        hint = f"did you mean {value:g}/255? " if value <= 255 else ""
        raise ValueError(f"{hint}Pixels have a range of 1, and this should be less than or equal to 1")
    return value


Eps = Annotated[Positive, AfterValidator(within_range)]
"""A size of a change of pixels in [0, 1]: a number in (0, 1], or a fraction as text."""

Size = tuple[Count, Count]
"""The least and the greatest side of a square in pixels."""


class Strict(BaseModel):
    """Data that nobody changes and that has no key by mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)
