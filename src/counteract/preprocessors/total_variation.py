"""Total variation: the nearest image of less variation, a purification that needs no generator and no training."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from typing_extensions import Self, Unpack

from counteract._arguments import check_count, check_real
from counteract._clamp import clamp
from counteract.preprocessors.base import Options, RandomPreprocessor

_RATE = 0.25
"""The step of the dual iteration, with which it converges in practice (Chambolle 2004, section 3)."""


class TotalVariation(RandomPreprocessor[None]):
    """Denoises each channel: the minimiser over u of ||u - x||_2^2 / 2 + weight * TV(u), nearly.

    TV is the isotropic total variation, the sum of the lengths of the gradients of u. The minimum is approached by
    `steps` iterations of Chambolle's projection on the dual, from zero:

        p = (p + rate * g) / (1 + rate * |g|),  g = grad(div p - x / weight);   u = x - weight * div p.

    It draws nothing. Differentiable in x, exactly, through all iterations, each of which the backward pass recomputes.

    Source: Rudin, Osher and Fatemi, "Nonlinear total variation based noise removal algorithms", 1992; Chambolle, "An
    algorithm for total variation minimization and applications", 2004. As a defence: Guo et al., "Countering
    adversarial images using input transformations", ICLR 2018, who also drop pixels at random, which this does not
    (`art:TotalVarMin` does, in NumPy). **How they attack theirs**: on the undefended network, obliviously; Athalye et
    al. 2018 broke it with BPDA.

    Args:
        weight: The weight on the total variation, for pixels in [0, 1]; 1e-6 or more.
        steps: The number of iterations, 1 or more.
        **options: Those of `RandomPreprocessor`.

    Raises:
        UserError: (a ValueError) an argument is out of its range.

    Examples:
        >>> from counteract import TotalVariation
        >>> from counteract.datasets import load_dataset
        >>> denoised, _ = TotalVariation()(load_dataset("digits").take(8).images.numpy())
        >>> denoised.shape
        (8, 3, 32, 32)
    """

    params: ClassVar[list[str]] = [*RandomPreprocessor.params, "weight", "steps"]
    spatial = True

    def __init__(self, *, weight: float = 0.05, steps: int = 20, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self.weight = weight
        self.steps = steps
        self._check_params()

    def draw(self, keys: Tensor, x: Tensor, prepared: Tensor | None) -> None:
        """Draws nothing."""

    def apply(self, x: Tensor, parameters: None) -> Tensor:
        """Denoises each image."""
        del parameters
        dual = x.new_zeros(2, *x.shape)
        for _ in range(self.steps):
            # Recomputed in the backward pass: all that iterations need is much more than what lies between them.
            dual = (
                checkpoint(self._iterate, dual, x, use_reentrant=False) if x.requires_grad else self._iterate(dual, x)
            )
        denoised: Tensor = x - self.weight * _divergence(dual)
        return denoised if self.clip_values is None else clamp(denoised, *self.clip_values)

    def with_fewer_steps(self, steps: int) -> Self:
        """The same with at most so many iterations."""
        return self._with(steps=min(self.steps, steps))

    def _iterate(self, dual: Tensor, x: Tensor) -> Tensor:
        """One step of the projection."""
        ascent = _gradient(_divergence(dual) - x / self.weight)
        projected: Tensor = (dual + _RATE * ascent) * (1 + _RATE * _length(ascent)).reciprocal()
        return projected

    def _check_params(self) -> None:
        super()._check_params()
        self.weight = check_real("weight", self.weight, low=1e-6)
        self.steps = check_count("steps", self.steps)


def _gradient(image: Tensor) -> Tensor:
    """Forward differences down and to the right, zero at the far border: shape (2, N, C, H, W)."""
    return torch.stack([F.pad(image.diff(dim=2), (0, 0, 0, 1)), F.pad(image.diff(dim=3), (0, 1))])


def _length(field: Tensor) -> Tensor:
    """The lengths of a field's vectors; at zero with the derivative zero. PyTorch's norm of pairs takes far longer."""
    squared = field.square().sum(0)
    flat = squared == 0
    return squared.masked_fill(flat, 1).sqrt().masked_fill(flat, 0)


def _divergence(field: Tensor) -> Tensor:
    """The divergence, minus the adjoint of the gradient: shape (N, C, H, W)."""
    down, right = field[0, :, :, :-1], field[1, ..., :-1]
    return F.pad(down, (0, 0, 1, 1)).diff(dim=2) + F.pad(right, (1, 1)).diff(dim=3)
