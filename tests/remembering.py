"""A module of somebody's that keeps images, for tests of what is kept elsewhere than in a network."""

from __future__ import annotations

from torch import Tensor

SEEN: list[Tensor] = []
"""The images that it was given."""


def remember(x: Tensor) -> Tensor:
    """Keeps images, and returns those before."""
    SEEN.append(x)
    return SEEN[max(len(SEEN) - 2, 0)]
