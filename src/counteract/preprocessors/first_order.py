"""The common part of the defences that move an input along the network's own gradients."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import Unpack

from counteract._errors import UserError
from counteract._folding import folded
from counteract._layout import layout_of
from counteract._network import ask, check_model, device_of, evaluating
from counteract.preprocessors._smooth import Smooth
from counteract.preprocessors.base import Options, Parameters, RandomPreprocessor


class FirstOrderPreprocessor(RandomPreprocessor[Parameters]):
    """A defence that adds a perturbation made of gradients of the undefended network.

    The network is in eval mode meanwhile, and left as it was found.

    The gradient that passes back through such a defence is the identity. Where the perturbation is made of signs its
    derivative is zero almost everywhere; and it makes the defence attackable by BPDA (Athalye et al. 2018), for whoever
    differentiates through it.

    A copy made by `copy.deepcopy` or `pickle` has its own network; ART's `clone_for_refitting` shares the preprocessor,
    network included, so a refitted clone is still defended with the old network's gradients.

    Args:
        model: The undefended network: images in `clip_values` to logits, normalisation inside. `counteract.from_art`
            makes one of an ART classifier, whose own network may leave the normalisation to ART.
        **options: Those of `RandomPreprocessor`.
    """

    params: ClassVar[list[str]] = [*RandomPreprocessor.params, "model"]

    def __init__(self, model: nn.Module, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self.model = model

    @abstractmethod
    def perturbation(self, x: Tensor, parameters: Parameters) -> Tensor:
        """Returns the change of `x`, before the sum is clamped to the pixel range; without gradient."""

    def smooth_perturbation(self, x: Tensor, parameters: Parameters) -> Tensor | None:
        """A differentiable counterpart of `perturbation`; None if nobody wrote one."""
        del x, parameters
        return None

    def smooth(self) -> RandomPreprocessor[Any] | None:
        """The same defence with the derivative of its `smooth_perturbation`; None if it has none.

        Where the defence takes a sign that derivative is the one of a steep tanh, through the gradient that the sign is
        taken of: the network is differentiated twice. Where it clamps a sum, likewise.
        """
        own = type(self).smooth_perturbation is not FirstOrderPreprocessor.smooth_perturbation
        return Smooth(self) if own else None

    def describe(self) -> str:
        """Returns the parameters in words, and what an attacker has to do without."""
        words = super().describe()
        return words if self.smooth() else ", ".join(filter(None, [words, "no smooth surrogate: BPDA alone"]))

    def apply(self, x: Tensor, parameters: Parameters) -> Tensor:
        """Adds the perturbation that the parameters stand for, and clamps to `clip_values` if there are any."""
        moved = x.detach() + self.perturbation(x, parameters)
        if self.clip_values is not None:
            moved = moved.clamp(*self.clip_values)
        return moved + (x - x.detach())  # exactly `moved`, with the identity for a gradient

    @contextmanager
    def _differentiable(self, x: Tensor) -> Iterator[tuple[nn.Module, Tensor]]:
        """The network, and a copy of `x` on its device, with gradients enabled wherever this is called."""
        with torch.inference_mode(False), torch.enable_grad():
            model = self._fast(x)
            with evaluating(model):
                yield model, x.detach().clone(memory_format=layout_of(model)).to(device_of(model))

    def _fast(self, x: Tensor) -> nn.Module:
        """The network as it is asked for gradients: folded, where that is possible."""
        return folded(self.model, x)

    def _logits(self, model: nn.Module, x: Tensor) -> Tensor:
        logits = ask(model, x.to(device_of(model)))
        if torch.is_grad_enabled() and x.requires_grad and not logits.requires_grad:
            raise UserError(
                f"model gives its images no gradient, along which {type(self).__name__} moves them: is there a detach, "
                "a torch.no_grad or NumPy in it?"
            )
        return logits

    def _check_params(self) -> None:
        super()._check_params()
        check_model(self.model)

    def _stays_in_range(self, in_range: bool) -> bool:
        return in_range or self.clip_values is not None
