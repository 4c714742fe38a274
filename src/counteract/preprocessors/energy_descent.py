"""Energy descent (ET3): down the energy that a network's logits give an image, in a few steps of one length."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import Self, Unpack

from counteract._arguments import check_count, check_real
from counteract._clamp import clamp
from counteract._folding import folded
from counteract.preprocessors._smooth import gradient_of
from counteract.preprocessors.base import Options
from counteract.preprocessors.first_order import FirstOrderPreprocessor

_AXES = (1, 2, 3)

_LEAST_GRADIENT, _LEAST_CHANGE = 1e-12, 1e-8
"""Added to norms that are divided by, as in the source's code."""


class EnergyDescent(FirstOrderPreprocessor[None]):
    """Moves the input to where the network's logits have a lower energy: gradient descent within an L2 ball.

    With the energy E(x) = -temperature * logsumexp(f(x) / temperature) and delta = 0 at first, `steps` times

        delta = delta - eps_step * grad E(x + delta) / ||grad E(x + delta)||_2
        delta = project(clamp(x + delta, *clip_values) - x, eps),

    where the projection is onto the L2 ball. It draws nothing. Pixels in which the energy has no finite gradient stay
    where they are.

    Source: Mirza, D'Orazio, Melamed and Masi, "A provable energy-guided test-time defense boosting adversarial
    robustness of large vision-language models" (ET3), CVPR 2026, arXiv 2603.26984; the defaults are those of its code
    for classifiers (`classifier/defense.py`), whose script has alpha = 2.5, eps = 5 and five steps. They are for images
    of 3 x 224 x 224: the same change of each pixel on 3 x 32 x 32 is a seventh of them.

    **How its own code attacks it**: with APGD-T on the undefended network (oblivious), and on the defended one with
    each step detached ("BPDA"); the worse of the two counts. The step is never differentiated. Detached, it passes the
    gradient on unchanged, which is what gradients back through this class do, too. `smooth()` differentiates it:
    exactly, for there is no sign in it.

    The cost is 2 `steps` passes. What gradients pass back, and what a copy shares, is said at `FirstOrderPreprocessor`.

    Args:
        model: The undefended network: images in `clip_values` to logits, normalisation inside.
        eps: The largest L2 norm of the change of an image, 0 or more.
        eps_step: The paper's alpha: the L2 norm of a step, 0 or more.
        steps: The number of steps, 1 or more.
        temperature: The paper's t, 1e-6 or more.
        **options: Those of `RandomPreprocessor`.

    Raises:
        UserError: (a ValueError) an argument is out of its range.

    Examples:
        >>> from counteract import EnergyDescent, load_model
        >>> from counteract.datasets import load_dataset
        >>> network, data = load_model("digits-resnet-mixup"), load_dataset("digits").take(8)
        >>> moved, _ = EnergyDescent(network)(data.images.numpy())
        >>> moved.shape
        (8, 3, 32, 32)
    """

    params: ClassVar[list[str]] = [*FirstOrderPreprocessor.params, "eps", "eps_step", "steps", "temperature"]

    def __init__(
        self,
        model: nn.Module,
        *,
        eps: float = 10.0,
        eps_step: float = 5.0,
        steps: int = 1,
        temperature: float = 1.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(model, **options)
        self.eps = eps
        self.eps_step = eps_step
        self.steps = steps
        self.temperature = temperature
        self._check_params()

    def draw(self, keys: Tensor, x: Tensor, prepared: Tensor | None) -> None:
        """Draws nothing."""

    def perturbation(self, x: Tensor, parameters: None) -> Tensor:
        """The sum of the steps."""
        del parameters
        with self._differentiable(x) as (model, received):
            change = torch.zeros_like(received)
            for _ in range(self.steps):
                moved = (received + change).requires_grad_()
                (gradient,) = torch.autograd.grad(self._energy(model, moved), moved)
                change = self._step(received, change, gradient)
        return change.to(x.device)

    def smooth_perturbation(self, x: Tensor, parameters: None) -> Tensor:
        """The sum of the steps, which can be differentiated; nothing is smoothed."""
        del parameters
        model, change = folded(self.model, x), torch.zeros_like(x)
        for _ in range(self.steps):
            moved = x + change
            change = self._step(x, change, gradient_of(self._energy(model, moved), moved))
        return change

    def describe(self) -> str:
        """Returns the parameters in words; both bounds are L2 norms."""
        given = f"eps {self.eps:g} (L2), eps_step {self.eps_step:g} (L2), steps {self.steps}"
        return f"{given}, temperature {self.temperature:g}"

    def with_fewer_steps(self, steps: int) -> Self:
        """The same with at most so many steps."""
        return self._with(steps=min(self.steps, steps))

    @property
    def passes(self) -> int:
        """A forward and a backward pass for each step."""
        return 2 * self.steps

    def _energy(self, model: nn.Module, x: Tensor) -> Tensor:
        """The energies of images, added up."""
        return -self.temperature * (self._logits(model, x) / self.temperature).logsumexp(1).sum()

    def _step(self, x: Tensor, change: Tensor, gradient: Tensor) -> Tensor:
        """The change after one more step."""
        gradient = gradient.where(gradient.isfinite(), 0)
        length: Tensor = torch.linalg.vector_norm(gradient, dim=_AXES, keepdim=True)
        change = change - self.eps_step * gradient / (length + _LEAST_GRADIENT)
        if self.clip_values is not None:
            change = clamp(x + change, *self.clip_values) - x
        length = torch.linalg.vector_norm(change, dim=_AXES, keepdim=True)
        return change * (self.eps / (length + _LEAST_CHANGE)).clamp(max=1)

    def _check_params(self) -> None:
        super()._check_params()
        self.eps = check_real("eps", self.eps)
        self.eps_step = check_real("eps_step", self.eps_step)
        self.steps = check_count("steps", self.steps)
        self.temperature = check_real("temperature", self.temperature, low=1e-6)
