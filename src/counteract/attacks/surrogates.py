"""Stand-ins for a defended network that an attacker differentiates in its place, as far as its parts offer any.

A part may offer three: `smooth()`, the same answers with derivatives of its own; `reversed()`, the same acting the
other way round; `with_fewer_steps(steps)`. A part that offers none is asked as it is, which for what has no derivative
is BPDA.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from counteract import _random
from counteract._strangers import offered
from counteract.attacks.objective import Scores
from counteract.attacks.threat_model import ThreatModel
from counteract.preprocessors import RandomPreprocessor
from counteract.whole import Defended, WholeModule

Part: TypeAlias = RandomPreprocessor[Any]

Change: TypeAlias = Callable[[Any], object]
"""A function from a part, or from a whole module's own network, to the surrogate that it offers, or None."""


def cheap(module: Defended, executions: int) -> Defended:
    """The same defence with no more than so many executions, and with as many steps where its parts offer that."""
    return _changed(module, lambda part: offered(part, "with_fewer_steps", executions), executions)


def turned(module: Defended) -> Defended | None:
    """The same defence with each part the other way round that offers it; None if none does."""
    if not offers(module, "reversed"):
        return None
    return _changed(module, lambda part: offered(part, "reversed"))


def smooth(module: Defended) -> Defended:
    """The same defence, which gives the same answers, with derivatives of its own where its parts offer them."""
    return _changed(module, lambda part: offered(part, "smooth"))


def offers(module: Defended, name: str, *arguments: int) -> bool:
    """Returns True where a part of a defence offers a surrogate by a method of this name."""
    parts = [module.answers.model] if isinstance(module, WholeModule) else module.parts
    return any(offered(part, name, *arguments) is not None for part in parts)


def no_smooth(module: Defended) -> str | None:
    """The reason why a defence has no smooth surrogate of its own, or None."""
    return _nothing(module, "smooth")


def no_cheap(module: Defended) -> str | None:
    """The reason why a defence has no cheap surrogate, or None."""
    return _nothing(module, "with_fewer_steps", 1)


def rebuilt(module: Defended, executions: int) -> Defended:
    """The same defended network with at most so many executions; a whole module as it is."""
    return _changed(module, lambda _: None, executions)


@dataclass(frozen=True, eq=False)
class Around:
    """A defended network's answers with the mean gradient at random points around an image.

    Where answers jump, or plateaus lie between steps, the gradient at one point says nothing about the next.

    Source: Tramer et al., "On adaptive attacks to adversarial example defenses", 2020, section 5, against k-WTA.

    Attributes:
        module: The defended network.
        bound: The largest distance of a point from the image.
        points: The number of points.
    """

    module: Scores
    bound: ThreatModel
    points: int

    @property
    def executions(self) -> int:
        """The executions whose graphs are kept."""
        return self.points * int(getattr(self.module, "executions", 1))

    def __call__(self, images: Tensor, keys: Tensor) -> Tensor:
        """Returns log-probabilities, as the defended network does."""
        with torch.no_grad():
            exact = self.module(images, keys)
        if not (torch.is_grad_enabled() and images.requires_grad):
            return exact
        moved = (_moved(images, keys, number, self.bound) for number in range(self.points))
        near = torch.stack([self.module(each, keys) for each in moved]).mean(0)
        return exact + (near - near.detach())


def _moved(images: Tensor, keys: Tensor, number: int, bound: ThreatModel) -> Tensor:
    """Random points around images inside [0, 1], through which gradients pass as if they were the images."""
    shape = images.shape[1:]
    noise = bound.eps * bound.metric.noise(_random.fold(keys, number), shape.numel())
    moved = (images.detach() + noise.view(len(images), *shape).to(images.dtype)).clamp(0, 1)
    return images + (moved - images.detach())


def _nothing(module: Defended, offer: str, *arguments: int) -> str | None:
    """The reason why an attack on a surrogate would be another attack once more, or None."""
    if not isinstance(module, WholeModule) or offers(module, offer, *arguments):
        return None
    return f"the module has no method {offer}, and without its surrogate this is bpda-apgd-cw"


def _changed(module: Defended, change: Change, executions: int | None = None) -> Defended:
    """The same defended network with its parts replaced by what a change makes of them, if that is anything."""
    if isinstance(module, WholeModule):
        made = change(module.answers.model)
        return WholeModule(made, probabilities=module.probabilities) if isinstance(made, nn.Module) else module
    return module.with_parts(lambda part: change(part) or part, executions)
