"""Clamping with a derivative of one at the bounds themselves, where whole images may lie."""

from __future__ import annotations

import torch
from torch import Tensor


def clamp(x: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """Clamps values to a closed range; the derivative is one in all of it, the ends included, and zero outside.

    That of `torch.clamp` at the ends differs from version to version. Where it is zero, a black or white pixel has no
    gradient, and an attack that differentiates a clamp never changes it.

    Args:
        x: Values of any shape; NaN stays NaN.
        low: The lower end, or one for each value.
        high: The upper end, likewise.
    """
    with torch.no_grad():
        clamped = torch.clamp(x, low, high)  # type: ignore[arg-type]
        inside = clamped == x
    return torch.where(inside, x, clamped)
