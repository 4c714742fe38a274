"""Counteraction, the paper's method: add up one-step perturbations for N random labels, clamp, add to the input."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import Self, Unpack

from counteract import _random
from counteract._arguments import check_count, check_flag
from counteract._clamp import clamp
from counteract._errors import UserError
from counteract._folding import folded
from counteract._network import evaluating
from counteract.preprocessors._smooth import gradient_of, smooth_sign
from counteract.preprocessors.base import Options, check_change, number_in_words
from counteract.preprocessors.first_order import FirstOrderPreprocessor

Labels = Literal["non-predicted", "all"]
Combine = Literal["sum-of-signs", "sign-of-sum"]


def _sum_of_signs(losses: list[Tensor], x: Tensor) -> Tensor:
    """The sum of the signs of each loss's gradient: one backward pass a loss, over one shared forward pass."""
    total = torch.zeros_like(x, requires_grad=False)
    for index, loss in enumerate(losses, start=1):
        (gradient,) = torch.autograd.grad(loss, x, retain_graph=index < len(losses))
        total += gradient.sign_()
    return total


def _sign_of_sum(losses: list[Tensor], x: Tensor) -> Tensor:
    """The sign of the summed losses' gradient, times their number: a single backward pass."""
    (gradient,) = torch.autograd.grad(torch.stack(losses).sum(), x)
    return gradient.sign_() * len(losses)


def summed_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The cross-entropy summed over all labels of all images: logits of shape (B, classes), labels (B, N)."""
    return torch.stack([F.cross_entropy(logits, column, reduction="sum") for column in labels.unbind(1)]).sum()


class Counteraction(FirstOrderPreprocessor[Tensor]):
    """Counteracts an adversarial perturbation with small first-order perturbations (the paper, Algorithm 1).

    For each input x, N labels l_i are drawn without replacement, and with f the network in eval mode

        eta_i = -/+ eps_step * sign(grad_x CE(f(x), l_i))    (targeted / untargeted)
        x'    = clamp(x + clamp(sum_i eta_i, -eps, eps), *clip_values).

    The cost is one forward and N backward passes to the input (one with `combine="sign-of-sum"`). What gradients pass
    back, and what a copy shares, is said at `FirstOrderPreprocessor`.

    Of ten classes, as on CIFAR-10, the paper's N = 9 leaves nothing to draw: all labels but the predicted one are
    taken, and the defence is not random.

    Args:
        model: The undefended network: images in `clip_values` to logits, normalisation inside.
        eps: The paper's mu: the largest change of a pixel, from 0 to the width of `clip_values`.
        eps_step: The paper's alpha: the size of each label's perturbation, likewise.
        num_labels: The paper's N, from 1 to the number of labels that there are to draw from.
        steps: The steps of PGD that make each label's perturbation, 1 or more; the paper's is one. With more, each
            perturbation is kept within eps, and each step's gradient is taken where the steps before have led, without
            random start.
        targeted: True if each perturbation moves towards its label, False if away from it.
        labels: The labels that are drawn from: all but the one predicted for x, or all.
        combine: `"sum-of-signs"` as in the paper, or `"sign-of-sum"` (ours): N * eps_step times the sign of the summed
            gradient. The two agree for N = 1, and wherever the N signs agree.
        **options: Those of `RandomPreprocessor`.

    Raises:
        UserError: (a ValueError) an argument is out of its range; on use also if `num_labels` exceeds the labels that
            the network has, or x does not hold images.

    Examples:
        >>> from counteract import Counteraction, load_model
        >>> from counteract.datasets import load_dataset
        >>> network, data = load_model("digits-resnet-mixup"), load_dataset("digits").take(8)
        >>> defence = Counteraction(network, eps=12 / 255, eps_step=6 / 255)
        >>> images = data.images.numpy()
        >>> counteracted, _ = defence(images)
        >>> bool(abs(counteracted - images).max() <= 12 / 255 + 1e-6)
        True
    """

    params: ClassVar[list[str]] = [
        *FirstOrderPreprocessor.params, "eps", "eps_step", "num_labels", "steps", "targeted", "labels", "combine",
    ]  # fmt: skip

    def __init__(
        self,
        model: nn.Module,
        *,
        eps: float = 8 / 255,
        eps_step: float = 4 / 255,
        num_labels: int = 9,
        steps: int = 1,
        targeted: bool = True,
        labels: Labels = "non-predicted",
        combine: Combine = "sum-of-signs",
        **options: Unpack[Options],
    ) -> None:
        super().__init__(model, **options)
        self._classes: int | None = None
        self.eps = eps
        self.eps_step = eps_step
        self.num_labels = num_labels
        self.steps = steps
        self.targeted = targeted
        self.labels = labels
        self.combine = combine
        self._check_params()

    def draw(self, keys: Tensor, x: Tensor, prepared: Tensor | None) -> Tensor:
        """Draws a random order of all labels for each image: int64, shape (N, classes)."""
        del prepared
        return _random.uniform(keys, self._count_labels(x)).argsort(dim=1)

    def perturbation(self, x: Tensor, parameters: Tensor) -> Tensor:
        """The clamped sum of the labels' perturbations, before it is added to `x` and clamped to the pixel range.

        Args:
            x: Images of shape (B, C, H, W).
            parameters: Labels in order of preference, int64, shape (B, M), M >= num_labels. Of exactly num_labels all
                are used. Of more, the first num_labels are, after the predicted one is left out if `labels` says so.
        """
        combine = _sum_of_signs if self.combine == "sum-of-signs" else _sign_of_sum
        with self._differentiable(x) as (model, received):
            logits = self._logits(model, received.requires_grad_())
            chosen = self._choose(parameters.to(logits.device), logits.detach().argmax(1))
            if self.steps > 1:
                return self._in_steps(model, received.detach(), chosen).to(x.device).clamp(-self.eps, self.eps)
            losses = [F.cross_entropy(logits, column, reduction="sum") for column in chosen.unbind(1)]
            ascent = combine(losses, received)
        step = -self.eps_step if self.targeted else self.eps_step
        return (ascent.to(x.device) * step).clamp(-self.eps, self.eps)

    @property
    def passes(self) -> int:
        """One forward pass, and a backward pass for each gradient; of several steps, two passes for each."""
        gradients = self.num_labels if self.combine == "sum-of-signs" else 1
        return 1 + gradients * (1 if self.steps == 1 else 2 * self.steps)

    def look(self, x: Tensor) -> None:
        """Makes sure that the network has as many labels as are drawn."""
        self._count_labels(x)

    def describe(self) -> str:
        """Returns the kind, the paper's N, mu (eps) and alpha (eps_step), and what else is unlike the paper."""
        kind = "targeted" if self.targeted else "untargeted"
        bounds = [f"{name} {number_in_words(name, getattr(self, name))}" for name in ("eps", "eps_step")]
        others = [f"{self.steps} steps"] * (self.steps > 1)
        others += [f"labels {self.labels}"] * (self.labels != "non-predicted")
        others += [self.combine] * (self.combine != "sum-of-signs")
        return ", ".join([kind, f"N = {self.num_labels}", *bounds, *others])

    def reversed(self) -> Self:
        """The same towards its labels where this is away from them, and the other way round."""
        return self._with(targeted=not self.targeted)

    def smooth_perturbation(self, x: Tensor, parameters: Tensor) -> Tensor:
        """The perturbation with each sign and the clamp smoothed."""
        model = folded(self.model, x)
        logits = self._logits(model, x)
        chosen = self._choose(parameters.to(logits.device), logits.detach().argmax(1))
        if self.steps > 1:
            return self._smoothly_in_steps(model, x, chosen)
        losses = [F.cross_entropy(logits, column, reduction="sum") for column in chosen.unbind(1)]
        if self.combine == "sum-of-signs":
            total = torch.stack([smooth_sign(gradient_of(loss, x)) for loss in losses]).sum(0)
        else:
            total = len(losses) * smooth_sign(gradient_of(torch.stack(losses).sum(), x))
        step = -self.eps_step if self.targeted else self.eps_step
        return self.eps * torch.tanh(total * step / self.eps)

    def _smoothly_in_steps(self, model: nn.Module, x: Tensor, chosen: Tensor) -> Tensor:
        """The smooth counterpart of several steps."""
        total = torch.zeros_like(x)
        for labels in self.groups(chosen):
            size = labels.shape[1] * (-self.eps_step if self.targeted else self.eps_step)
            change = torch.zeros_like(x)
            for _ in range(self.steps):
                moved = x + change
                ascent = smooth_sign(gradient_of(summed_cross_entropy(self._logits(model, moved), labels), moved))
                change = clamp(change + size * ascent, -self.eps, self.eps)
            total = total + change
        return self.eps * torch.tanh(total / self.eps)

    def groups(self, chosen: Tensor) -> tuple[Tensor, ...]:
        """The labels that go into a gradient together, of shape (B, N): each by itself, or all at once."""
        return tuple(chosen.split(1 if self.combine == "sum-of-signs" else chosen.shape[1], dim=1))

    def _in_steps(self, model: nn.Module, received: Tensor, chosen: Tensor) -> Tensor:
        """The sum of the perturbations that several steps make, each of them within eps."""
        total = torch.zeros_like(received)
        for labels in self.groups(chosen):
            size = labels.shape[1] * (-self.eps_step if self.targeted else self.eps_step)
            change = torch.zeros_like(received)
            for _ in range(self.steps):
                moved = received + change
                moved = (moved if self.clip_values is None else moved.clamp(*self.clip_values)).requires_grad_()
                loss = summed_cross_entropy(self._logits(model, moved), labels)
                (gradient,) = torch.autograd.grad(loss, moved)
                change = (change + size * gradient.sign_()).clamp(-self.eps, self.eps)
            total += change
        return total

    def _choose(self, order: Tensor, predicted: Tensor) -> Tensor:
        """The first `num_labels` of each row, without the predicted label where it is to be left out."""
        if order.shape[1] < self.num_labels:
            raise UserError(f"labels must give at least num_labels = {self.num_labels} a row, found {order.shape[1]}")
        if self.labels == "non-predicted" and order.shape[1] > self.num_labels:
            last = (order == predicted.unsqueeze(1)).long()
            order = order.gather(1, last.argsort(dim=1, stable=True))
        return order[:, : self.num_labels]

    def _count_labels(self, x: Tensor) -> int:
        """Returns the number of labels that the network has, from one forward pass of one image, the first time."""
        if self._classes is None:
            with evaluating(self.model), torch.no_grad():
                self._classes = self._logits(self.model, x[:1]).shape[1]
        available = self._classes - (self.labels == "non-predicted")
        if self.num_labels > available:
            raise UserError(
                f"num_labels is {self.num_labels}, but labels={self.labels!r} leaves only {available} to draw from"
            )
        return self._classes

    def _check_params(self) -> None:
        super()._check_params()
        self._classes = None
        self.eps = check_change("eps", self.eps, self.clip_values)
        self.eps_step = check_change("eps_step", self.eps_step, self.clip_values)
        self.num_labels = check_count("num_labels", self.num_labels)
        self.steps = check_count("steps", self.steps)
        self.targeted = check_flag("targeted", self.targeted)
        if self.labels not in ("non-predicted", "all"):
            raise UserError(f"labels must be 'non-predicted' or 'all', found {self.labels!r}")
        if self.combine not in ("sum-of-signs", "sign-of-sum"):
            raise UserError(f"combine must be 'sum-of-signs' or 'sign-of-sum', found {self.combine!r}")


def untargeted(model: nn.Module, **given: Any) -> Counteraction:
    """Counteraction away from its labels.

    Raises:
        UserError: (a ValueError) an argument says `targeted=True`.
    """
    if given.get("targeted"):
        raise UserError("targeted must be False, found True: `counteraction` moves towards its labels")
    return Counteraction(model, **given | {"targeted": False})
