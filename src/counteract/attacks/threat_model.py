"""The threat model: how far an attacker may change an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationInfo, field_validator, model_validator

from counteract._errors import UserError
from counteract._values import Positive, Strict, within_range
from counteract.attacks.norms import NORMS, Name, Norm


class ThreatModel(Strict):
    """The bound on what an attacker may change.

    Attributes:
        norm: The norm in which a change is measured: `Linf`, the largest change of a pixel; `L2`, the Euclidean one; or
            `L1`, the sum of the changes.
        eps: The largest change in that norm, for pixels in [0, 1]: a number or a fraction as text, by default 8/255 in
            Linf, 0.5 in L2 and 12 in L1.
    """

    norm: Name = "Linf"
    eps: Positive = 8 / 255

    @model_validator(mode="before")
    @classmethod
    def _default(cls, value: Any) -> Any:
        """Takes the bound of the norm where there is none."""
        if not isinstance(value, dict) or "eps" in value:
            return value
        norm = NORMS.get(value.get("norm", "Linf"))
        return value if norm is None else value | {"eps": norm.eps}

    @field_validator("eps")
    @classmethod
    def _check_range(cls, value: float, info: ValidationInfo) -> float:
        return in_range(value, info.data.get("norm"))

    def __str__(self) -> str:
        return f"{self.norm}, eps = {self.metric.spell(self.eps)}"

    @property
    def metric(self) -> Norm:
        """The norm itself."""
        return NORMS[self.norm]

    def check_shape(self, shape: Sequence[int]) -> None:
        """Makes sure that the bound is one for images of a shape.

        Raises:
            UserError: (a ValueError) it is beyond the distance from black to white.
        """
        largest = self.metric.largest(shape)
        if self.eps > largest * (1 + 1e-6):
            size = "x".join(map(str, shape))
            raise UserError(
                f"eps must be at most {largest:.4g} in {self.norm}, the distance from black to white for images of "
                f"{size}, found {self.eps:g}: pixels lie in [0, 1], not in grey levels"
            )


def in_range(value: float, norm: str | None) -> float:
    """Returns a size of a change, in Linf once it is in the range of pixels; in other norms it may be beyond 1."""
    return within_range(value) if norm == "Linf" else value
