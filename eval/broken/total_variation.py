"""Total variation minimisation in front of the network.

ART's `TotalVarMin` takes a quarter of a second an image; this is the same model (Rudin, Osher and Fatemi) by
Chambolle's projection, without the dropped pixels of Guo et al.

Source: Guo et al., "Countering Adversarial Images using Input Transformations", ICLR 2018
Claimed: 60 to 75% on ImageNet, L2 (M)
Known: 0% on ImageNet at an L2 distance of 0.05 (Athalye et al. 2018, Table 1)
Broken by: BPDA, with the identity as the gradient of the minimisation
"""

from __future__ import annotations

from typing import Any

import numpy as np
from art.defences.preprocessor.preprocessor import Preprocessor


class TotalVariation(Preprocessor):  # type: ignore[misc]  # ART is untyped
    """The image z that minimises |z - x|^2 / 2 + strength * TV(z), nearly, by Chambolle's iteration."""

    params = ("strength", "steps")

    def __init__(self, strength: float = 0.1, steps: int = 15) -> None:
        super().__init__(is_fitted=True, apply_fit=False, apply_predict=True)
        self.strength = strength
        self.steps = steps

    def __call__(self, x: np.ndarray[Any, Any], y: Any = None) -> tuple[np.ndarray[Any, Any], Any]:
        """Smooth images, of shape (N, C, H, W), and `y` as it is."""
        dual = np.zeros((2, *x.shape), x.dtype)
        for _ in range(self.steps):
            slope = gradient(divergence(dual) - x / self.strength)
            dual = (dual + 0.25 * slope) / (1 + 0.25 * np.sqrt((slope**2).sum(0)))
        return np.clip(x - self.strength * divergence(dual), 0, 1), y


def gradient(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Differences to the next row and to the next column, zero at the end."""
    found = np.zeros((2, *x.shape), x.dtype)
    found[0, ..., :-1, :] = np.diff(x, axis=-2)
    found[1, ..., :-1] = np.diff(x, axis=-1)
    return found


def divergence(field: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The negative transpose of `gradient`."""
    found: np.ndarray[Any, Any] = np.zeros_like(field[0])
    found[..., :-1, :] += field[0, ..., :-1, :]
    found[..., 1:, :] -= field[0, ..., :-1, :]
    found[..., :-1] += field[1, ..., :-1]
    found[..., 1:] -= field[1, ..., :-1]
    return found


def make(strength: float = 0.1, steps: int = 15) -> TotalVariation:
    """The minimisation as ART's preprocessor."""
    return TotalVariation(strength, steps)
