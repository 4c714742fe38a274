"""Hedge defence: away from every class at once, in several steps. The nearest peer of counteraction."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import Self, Unpack

from counteract import _random
from counteract._arguments import check_count
from counteract._clamp import clamp
from counteract._folding import folded
from counteract.preprocessors._smooth import gradient_of, smooth_sign
from counteract.preprocessors.base import Options, check_change
from counteract.preprocessors.first_order import FirstOrderPreprocessor


class Hedge(FirstOrderPreprocessor[Tensor]):
    """Attacks all classes at once: projected ascent on the sum of the cross-entropies to every class.

    From x plus uniform noise in [-eps, eps], `steps` times

        x' = clamp(project(x' + eps_step * sign(grad_x' sum_c CE(f(x'), c)), x, eps), *clip_values).

    Source: Wu et al., "Attacking Adversarial Attacks as A Defense", 2021, with the values of its code. That code
    classifies by the sum of the logits of all iterates but the first and the last; here, as in Croce et al. 2022, who
    re-evaluated it (with eps_step = 4/255), the last iterate is what the network gets.

    The cost is 2 `steps` passes. What gradients pass back, and what a copy shares, is said at `FirstOrderPreprocessor`.

    Args:
        model: The undefended network: images in `clip_values` to logits, normalisation inside.
        eps: The largest change of a pixel, from 0 to the width of `clip_values`.
        eps_step: The size of a step, likewise.
        steps: The number of steps, 1 or more.
        **options: Those of `RandomPreprocessor`.

    Raises:
        UserError: (a ValueError) an argument is out of its range.

    Examples:
        >>> from counteract import Hedge, load_model
        >>> from counteract.datasets import load_dataset
        >>> network, data = load_model("digits-resnet-mixup"), load_dataset("digits").take(8)
        >>> hedged, _ = Hedge(network, steps=5, seed=0)(data.images.numpy())
        >>> hedged.shape
        (8, 3, 32, 32)
    """

    params: ClassVar[list[str]] = [*FirstOrderPreprocessor.params, "eps", "eps_step", "steps"]

    def __init__(
        self,
        model: nn.Module,
        *,
        eps: float = 0.031,
        eps_step: float = 0.007,
        steps: int = 20,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(model, **options)
        self.eps = eps
        self.eps_step = eps_step
        self.steps = steps
        self._check_params()

    def draw(self, keys: Tensor, x: Tensor, prepared: Tensor | None) -> Tensor:
        """Draws the starting noise in units of eps: uniform in [-1, 1], of the images' shape."""
        del prepared
        return 2 * _random.uniform(keys, x[0].numel()).view(len(keys), *x.shape[1:]) - 1

    def perturbation(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Returns the difference between the last iterate and `x`."""
        with self._differentiable(x) as (model, received):
            moved = received + self.eps * parameters.to(received)
            for _ in range(self.steps):
                log_probabilities = F.log_softmax(self._logits(model, moved.requires_grad_()), dim=1)
                (gradient,) = torch.autograd.grad(-log_probabilities.sum(), moved)
                change = moved.detach() + self.eps_step * gradient.sign_() - received
                moved = received + change.clamp(-self.eps, self.eps)
                if self.clip_values is not None:
                    moved = moved.clamp(*self.clip_values)
        return (moved - received).to(x.device)

    def smooth_perturbation(self, x: Tensor, parameters: Tensor) -> Tensor:
        """The perturbation with each sign smoothed."""
        model, change = folded(self.model, x), (self.eps * parameters).to(x.dtype)
        for _ in range(self.steps):
            moved = x + change
            ascent = smooth_sign(gradient_of(-self._logits(model, moved).log_softmax(1).sum(), moved))
            change = clamp(change + self.eps_step * ascent, -self.eps, self.eps)
        return change

    def with_fewer_steps(self, steps: int) -> Self:
        """The same with at most so many steps."""
        return self._with(steps=min(self.steps, steps))

    @property
    def passes(self) -> int:
        """A forward and a backward pass for each step."""
        return 2 * self.steps

    def _check_params(self) -> None:
        super()._check_params()
        self.eps = check_change("eps", self.eps, self.clip_values)
        self.eps_step = check_change("eps_step", self.eps_step, self.clip_values)
        self.steps = check_count("steps", self.steps)
