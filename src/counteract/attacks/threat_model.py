"""The threat model: how far an attacker may change an image."""

from __future__ import annotations

from typing import Literal

from counteract._values import Eps, Strict

Norm = Literal["Linf"]
"""The norms in which a change is measured."""


class ThreatModel(Strict):
    """The bound on what an attacker may change.

    Attributes:
        norm: The norm in which a change is measured; `Linf` is the largest change of a pixel.
        eps: The largest change in that norm, for pixels in [0, 1].
    """

    norm: Norm = "Linf"
    eps: Eps = 8 / 255
