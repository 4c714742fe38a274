"""PGD of torchattacks with keyed starts and targets, and snapshots along the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torchattacks
from torch import Tensor, nn

from counteract import _random
from counteract._answers import logits_in
from counteract._errors import UserError
from counteract._network import parameter_dtype
from counteract._pgd import pgd
from counteract.attacks.norms import CLIMBED, LINF, NORMS, Name, Norm
from counteract.attacks.threat_model import in_range
from counteract.attacks.victim import Victim

_START, _TARGET = 0, 1
"""The two streams of draws: of the starting point and of the target label."""


class PGD(torchattacks.PGD):
    """Projected gradient descent (Madry et al. 2018), from given starting points.

    The steps are those of `torchattacks.PGD`, in L2 those of `torchattacks.PGDL2`; what differs is where randomness
    comes from. torchattacks draws a start from the global generator, batch by batch, so that results change with the
    batch size; here the caller passes it in. And one run of 200 steps gives the results of 10 and of 50 steps on its
    way.

    Args:
        model: Maps images in [0, 1] to logits or log-probabilities. It is attacked in eval mode.
        eps: The largest change.
        alpha: The step size.
        steps: The step counts after which the images are wanted.
        targeted: True to move towards the labels that an attack is called with, rather than away from them.
        norm: The norm in which changes and steps are measured: `Linf` or `L2`.

    Raises:
        UserError: (a ValueError) eps or alpha is beyond 1, the range of pixels, in Linf; or the norm is another.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        eps: float = 8 / 255,
        alpha: float = 2 / 255,
        steps: Sequence[int] = (10,),
        targeted: bool = False,
        norm: Name = "Linf",
    ) -> None:
        if norm not in CLIMBED:
            raise UserError(f"norm must be {' or '.join(CLIMBED)}, found {norm!r}")
        for name, value in (("eps", eps), ("alpha", alpha)):
            try:
                in_range(value, norm)
            except ValueError as error:
                raise UserError(f"{name}: {error}, found {value:g}") from None
        super().__init__(model, eps=eps, alpha=alpha, steps=max(steps), random_start=False)
        self.snapshots = frozenset(steps)
        self.norm = NORMS[norm]
        if targeted:
            self.set_mode_targeted_by_label(quiet=True)

    def get_logits(self, inputs: Tensor, labels: Tensor | None = None, *args: Any, **kwargs: Any) -> Tensor:
        """The network's logits for images, of which it is given a copy."""
        given = inputs.to(parameter_dtype(self.model), copy=True)
        return logits_in(super().get_logits(given, labels, *args, **kwargs), len(inputs))

    def forward(self, images: Tensor, labels: Tensor, *, starts: Tensor) -> dict[int, Tensor]:
        """Attacks a batch; called through `attack(images, labels, starts=...)`, as in torchattacks.

        Args:
            images: Clean images in [0, 1], shape (N, C, H, W).
            labels: The labels to move away from, or if `targeted` towards: int64, shape (N,).
            starts: The points to start from: images in [0, 1] within eps of `images`.

        Returns:
            The adversarial images by step count.
        """
        return pgd(
            self.model,
            images,
            labels,
            starts,
            eps=self.eps,
            step=self.alpha,
            steps=sorted(self.snapshots),
            targeted=self.targeted,
            logits=self.get_logits,
            move=self.norm.move,
        )


@dataclass(frozen=True)
class Path:
    """Runs of PGD on the undefended network whose iterates are those of all shorter runs.

    Attributes:
        targeted: True if they move towards a label other than the true one, drawn for each image.
    """

    targeted: bool

    def run(
        self, victim: Victim, images: Tensor, labels: Tensor, keys: Tensor, steps: Sequence[int]
    ) -> dict[int, Tensor]:
        """Attacks a batch once.

        Args:
            victim: The network and the bounds; no use is made of the defence.
            images: Clean images in [0, 1], shape (N, C, H, W).
            labels: The labels to move away from; or if `targeted` the true ones, of which others are drawn.
            keys: The attacker's key of each image, int64, shape (N,).
            steps: The step counts after which the images are wanted.

        Returns:
            The adversarial images by step count.
        """
        norm, eps, step = victim.threat_model.metric, victim.threat_model.eps, victim.eps_step
        if self.targeted:
            labels = draw_targets(keys, labels, victim.num_classes)
        starts = draw_starts(keys, images, eps, norm)
        network = victim.undefended
        return pgd(
            network, images, labels, starts, eps=eps, step=step, steps=steps, targeted=self.targeted, move=norm.move
        )


def draw_starts(keys: Tensor, images: Tensor, eps: float, norm: Norm = LINF) -> Tensor:
    """Uniform starting points within eps of each image, inside [0, 1], from one key an image."""
    shape = images.shape[1:]
    noise = norm.noise(_random.fold(keys, _START), shape.numel()) * eps
    return (images + noise.view(len(images), *shape).to(images.dtype)).clamp(0, 1)


def draw_targets(keys: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """A label other than the true one for each image, uniform over the others, from one key an image."""
    others = _random.below(_random.uniform(_random.fold(keys, _TARGET), 1)[:, 0], num_classes - 1)
    return others + (others >= labels).long()
