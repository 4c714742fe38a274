"""Anti-adversary: towards the predicted class, in a few large steps. The other near peer of counteraction."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import Unpack

from counteract._arguments import check_count
from counteract._folding import folded
from counteract.preprocessors._smooth import gradient_of, smooth_sign
from counteract.preprocessors.base import Options, check_change
from counteract.preprocessors.first_order import FirstOrderPreprocessor


class AntiAdversary(FirstOrderPreprocessor[None]):
    """Makes the network surer of what it predicts: descent on the cross-entropy to the predicted label.

    With y the label predicted for x and delta = 0 at first, `steps` times

        delta = delta - eps_step * sign(grad CE(f(x + delta), y)),

    neither projected nor clamped. It draws nothing.

    Source: Alfarra et al., "Combating Adversaries with Anti-Adversaries", AAAI 2022, with the values of its code.

    The cost is 2 `steps` passes. What gradients pass back, and what a copy shares, is said at `FirstOrderPreprocessor`.

    Args:
        model: The undefended network: images in `clip_values` to logits, normalisation inside.
        eps_step: The size of a step, from 0 to the width of the range of pixels.
        steps: The number of steps, 1 or more.
        **options: Those of `RandomPreprocessor`; but where no `clip_values` are given, pixels of [0, 1] stay where the
            steps take them, as in the source. With a range, the result is clamped to it; None is for any pixels.

    Raises:
        UserError: (a ValueError) an argument is out of its range.

    Examples:
        >>> from counteract import AntiAdversary, load_model
        >>> from counteract.datasets import load_dataset
        >>> network, data = load_model("digits-resnet-mixup"), load_dataset("digits").take(8)
        >>> surer, _ = AntiAdversary(network, eps_step=0.05)(data.images.numpy())
        >>> surer.shape
        (8, 3, 32, 32)
    """

    params: ClassVar[list[str]] = [*FirstOrderPreprocessor.params, "eps_step", "steps"]

    def __init__(self, model: nn.Module, *, eps_step: float = 0.15, steps: int = 2, **options: Unpack[Options]) -> None:
        self._pixels = options.get("clip_values", (0.0, 1.0))
        options.setdefault("clip_values", None)
        super().__init__(model, **options)
        self.eps_step = eps_step
        self.steps = steps
        self._check_params()

    def draw(self, keys: Tensor, x: Tensor, prepared: Tensor | None) -> None:
        """Draws nothing."""

    def perturbation(self, x: Tensor, parameters: None) -> Tensor:
        """The sum of the steps."""
        del parameters
        with self._differentiable(x) as (model, received):
            change, predicted = torch.zeros_like(received), None
            for _ in range(self.steps):
                logits = self._logits(model, received + change.requires_grad_())
                predicted = logits.detach().argmax(1) if predicted is None else predicted
                (gradient,) = torch.autograd.grad(F.cross_entropy(logits, predicted, reduction="sum"), change)
                change = change.detach() - self.eps_step * gradient.sign_()
        return change.to(x.device)

    def smooth_perturbation(self, x: Tensor, parameters: None) -> Tensor:
        """The sum of the steps with each sign smoothed."""
        del parameters
        model, change, predicted = folded(self.model, x), torch.zeros_like(x), None
        for _ in range(self.steps):
            moved = x + change
            logits = self._logits(model, moved)
            predicted = logits.detach().argmax(1) if predicted is None else predicted
            descent = smooth_sign(gradient_of(F.cross_entropy(logits, predicted, reduction="sum"), moved))
            change = change - self.eps_step * descent
        return change

    @property
    def passes(self) -> int:
        """A forward and a backward pass for each step; the first forward pass also predicts."""
        return 2 * self.steps

    def _check_params(self) -> None:
        super()._check_params()
        self.eps_step = check_change("eps_step", self.eps_step, self.clip_values or self._pixels)
        self.steps = check_count("steps", self.steps)

    def _stays_in_range(self, in_range: bool) -> bool:
        del in_range
        return self.clip_values is not None
