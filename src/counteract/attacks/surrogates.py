"""Stand-ins for a defended network that an attacker differentiates in its place.

The one module among the attacks that knows what a defended network is made of.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from counteract._network import ask, borrowed, device_of, folded
from counteract.defended import DefendedModule
from counteract.preprocessors import AntiAdversary, Counteraction, Hedge, RandomPreprocessor
from counteract.preprocessors.counteraction import summed_cross_entropy
from counteract.preprocessors.first_order import FirstOrderPreprocessor
from counteract.whole import Defended, WholeModule

Part: TypeAlias = RandomPreprocessor[Any]

STEEPNESS = 3.0
"""The slope of the smooth sign at zero, in units of one over a gradient's mean magnitude."""


def cheap(module: Defended, executions: int) -> Defended:
    """The same defence with no more than so many executions, and iterated defences with as many steps."""

    def shortened(part: Part) -> Part:
        if not isinstance(part, Hedge):
            return part
        steps = min(part.steps, executions)
        return Hedge(part.model, eps=part.eps, eps_step=part.eps_step, steps=steps, clip_values=part.clip_values)

    return rebuilt(module, shortened, executions)


def turned(module: Defended) -> Defended | None:
    """The same defence with counteraction towards its labels where it is away from them, and the other way round.

    None if there is no counteraction in it, or none that is known of.
    """
    if not any(isinstance(part, Counteraction) for part in _parts(module)):
        return None

    def other(part: Part) -> Part:
        return _counteraction(part, targeted=not part.targeted) if isinstance(part, Counteraction) else part

    return rebuilt(module, other)


def smooth(module: Defended) -> Defended:
    """The same defence, which gives the same answers, with derivatives of its own in place of the identity.

    Where it takes a sign its derivative is that of a steep tanh, through the gradient that the sign is taken of: the
    network is differentiated twice. Where it clamps a sum, likewise.
    """
    return rebuilt(module, lambda part: _Smooth(part) if isinstance(part, FirstOrderPreprocessor) else part)


def no_smooth(module: Defended) -> str | None:
    """The reason why a defence has no smooth surrogate of its own, or None."""
    if isinstance(module, WholeModule):
        return "it needs a smooth surrogate of the defence, and a whole module cannot be taken apart"
    default = smooth_perturbation.dispatch(object)
    for part in _parts(module):
        if isinstance(part, FirstOrderPreprocessor) and smooth_perturbation.dispatch(type(part)) is default:
            return f"it needs a smooth surrogate of the defence, and none is registered for {type(part).__name__}"
    return None


def no_cheap(module: Defended) -> str | None:
    """The reason why a defence has no cheap surrogate, or None."""
    if isinstance(module, WholeModule):
        return "it needs a cheap surrogate of the defence, and a whole module cannot be taken apart"
    return None


def rebuilt(
    module: Defended, change: Callable[[Part], Part] = lambda part: part, executions: int | None = None
) -> Defended:
    """The same defended network with its parts changed one by one, and at most so many executions.

    A whole module, whose parts nobody knows, comes back as it is.
    """
    if isinstance(module, WholeModule):
        return module
    return DefendedModule(
        module.model,
        preprocessing_defences=[change(part) for part in module.preprocessing_defences],
        transforms=[change(part) for part in module.transforms],
        executions=min(module.executions, executions or module.executions),
        average=module.average,
        executions_per_pass=module.executions_per_pass,
        clip_values=module.clip_values,
    )


def _parts(module: Defended) -> tuple[Part, ...]:
    if isinstance(module, WholeModule):
        return ()
    return (*module.preprocessing_defences, *module.transforms)


def _counteraction(part: Counteraction, *, targeted: bool) -> Counteraction:
    return Counteraction(
        part.model,
        eps=part.eps,
        eps_step=part.eps_step,
        num_labels=part.num_labels,
        steps=part.steps,
        targeted=targeted,
        labels=part.labels,
        combine=part.combine,
        clip_values=part.clip_values,
        batch_size=part.batch_size,
    )


class _Smooth(RandomPreprocessor[Any]):
    """A first-order defence with the derivative of its smooth counterpart."""

    def __init__(self, exact: FirstOrderPreprocessor[Any]) -> None:
        super().__init__(clip_values=exact.clip_values, batch_size=exact.batch_size)
        self._exact = exact

    @property
    def passes(self) -> int:
        """The passes of the defence."""
        return self._exact.passes

    def draw(self, keys: Tensor, x: Tensor, prepared: Tensor | None) -> Any:
        """Draws as the defence does."""
        return self._exact.draw(keys, x, prepared)

    def apply(self, x: Tensor, parameters: Any) -> Tensor:
        """Applies the defence; the gradient is that of its smooth counterpart."""
        exact = self._exact.apply(x.detach(), parameters)
        if not (torch.is_grad_enabled() and x.requires_grad):
            return exact
        with borrowed(self._exact.model):
            change = smooth_perturbation(self._exact, x, parameters).nan_to_num(0)
        return exact + (x - x.detach()) + (change - change.detach())


def smooth_sign(gradient: Tensor) -> Tensor:
    """The tanh of a gradient in units of its mean magnitude in each image."""
    scale = gradient.abs().mean((1, 2, 3), keepdim=True).clamp(min=torch.finfo(gradient.dtype).tiny)
    return torch.tanh(STEEPNESS * gradient / scale)


@singledispatch
def smooth_perturbation(defence: Any, x: Tensor, parameters: Any) -> Tensor:
    """A differentiable counterpart of `FirstOrderPreprocessor.perturbation`; a defence of your own registers one."""
    raise NotImplementedError(f"no smooth counterpart of {type(defence).__name__} is registered")


@smooth_perturbation.register
def _(defence: Counteraction, x: Tensor, parameters: Tensor) -> Tensor:
    logits = _logits(defence, x)
    chosen = defence._choose(parameters, logits.detach().argmax(1))
    if defence.steps > 1:
        return _in_steps(defence, x, chosen)
    losses = [F.cross_entropy(logits, column, reduction="sum") for column in chosen.unbind(1)]
    if defence.combine == "sum-of-signs":
        total = torch.stack([smooth_sign(_gradient(loss, x)) for loss in losses]).sum(0)
    else:
        total = len(losses) * smooth_sign(_gradient(torch.stack(losses).sum(), x))
    step = -defence.eps_step if defence.targeted else defence.eps_step
    return defence.eps * torch.tanh(total * step / defence.eps)


def _in_steps(defence: Counteraction, x: Tensor, chosen: Tensor) -> Tensor:
    """The smooth counterpart of counteraction in several steps."""
    total = torch.zeros_like(x)
    for labels in defence.groups(chosen):
        size = labels.shape[1] * (-defence.eps_step if defence.targeted else defence.eps_step)
        change = torch.zeros_like(x)
        for _ in range(defence.steps):
            moved = x + change
            ascent = smooth_sign(_gradient(summed_cross_entropy(_logits(defence, moved), labels), moved))
            change = (change + size * ascent).clamp(-defence.eps, defence.eps)
        total = total + change
    return defence.eps * torch.tanh(total / defence.eps)


@smooth_perturbation.register
def _(defence: Hedge, x: Tensor, parameters: Tensor) -> Tensor:
    change = (defence.eps * parameters).to(x.dtype)
    for _ in range(defence.steps):
        moved = x + change
        ascent = smooth_sign(_gradient(-_logits(defence, moved).log_softmax(1).sum(), moved))
        change = (change + defence.eps_step * ascent).clamp(-defence.eps, defence.eps)
    return change


@smooth_perturbation.register
def _(defence: AntiAdversary, x: Tensor, parameters: None) -> Tensor:
    del parameters
    change, predicted = torch.zeros_like(x), None
    for _ in range(defence.steps):
        moved = x + change
        logits = _logits(defence, moved)
        predicted = logits.detach().argmax(1) if predicted is None else predicted
        descent = smooth_sign(_gradient(F.cross_entropy(logits, predicted, reduction="sum"), moved))
        change = change - defence.eps_step * descent
    return change


def _logits(defence: FirstOrderPreprocessor[Any], x: Tensor) -> Tensor:
    model = folded(defence.model)
    return ask(model, x.to(device_of(model)))


def _gradient(loss: Tensor, x: Tensor) -> Tensor:
    """The gradient, which can be differentiated in its turn."""
    return torch.autograd.grad(loss, x, create_graph=True)[0]
