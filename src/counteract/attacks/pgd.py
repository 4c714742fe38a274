"""PGD of torchattacks with keyed starts and targets, and snapshots along the way."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
import torchattacks
from torch import Tensor, nn

from counteract import _random
from counteract._network import borrowed

_START, _TARGET = 0, 1
"""The two streams of draws: of the starting point and of the target label."""


class PGD(torchattacks.PGD):
    """Projected gradient descent in the max norm (Madry et al. 2018), from given starting points.

    The steps are those of `torchattacks.PGD`; what differs is where randomness comes from. torchattacks draws a start
    from the global generator, batch by batch, so that results change with the batch size; here the caller passes it in.
    And one run of 200 steps gives the results of 10 and of 50 steps on its way.

    Args:
        model: Maps images in [0, 1] to logits or log-probabilities. It is attacked in eval mode.
        eps: The largest change of a pixel.
        alpha: The step size.
        steps: The step counts after which the images are wanted.
        targeted: Whether to move towards the labels that an attack is called with, rather than away from them.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        eps: float = 8 / 255,
        alpha: float = 2 / 255,
        steps: Sequence[int] = (10,),
        targeted: bool = False,
    ) -> None:
        super().__init__(model, eps=eps, alpha=alpha, steps=max(steps), random_start=False)
        self.snapshots = frozenset(steps)
        if targeted:
            self.set_mode_targeted_by_label(quiet=True)

    def forward(self, images: Tensor, labels: Tensor, *, starts: Tensor) -> dict[int, Tensor]:
        """Attacks a batch; called through `attack(images, labels, starts=...)`, as in torchattacks.

        Args:
            images: Clean images in [0, 1], shape (N, C, H, W).
            labels: What to move away from, or if `targeted` towards: int64, shape (N,).
            starts: Where to start: images in [0, 1] within eps of `images`.

        Returns:
            The adversarial images by step count.
        """
        direction = -1.0 if self.targeted else 1.0
        found = {}
        adversarial = starts.detach().clone()
        with borrowed(self.model), torch.enable_grad():
            for step in range(1, self.steps + 1):
                adversarial.requires_grad_()
                # Summed, not averaged: an example's gradient must not depend on how many others are in its batch.
                loss = direction * F.cross_entropy(self.get_logits(adversarial), labels, reduction="sum")
                (gradient,) = torch.autograd.grad(loss, adversarial)
                moved = adversarial.detach() + self.alpha * gradient.sign()
                change = (moved - images).clamp(-self.eps, self.eps)
                adversarial = (images + change).clamp(0, 1)
                if step in self.snapshots:
                    found[step] = adversarial.detach()
        return found


def draw_starts(keys: Tensor, images: Tensor, eps: float) -> Tensor:
    """Uniform starting points within eps of each image, inside [0, 1], from one key an image."""
    shape = images.shape[1:]
    noise = (2 * _random.uniform(_random.fold(keys, _START), shape.numel()) - 1) * eps
    return (images + noise.view(len(images), *shape).to(images.dtype)).clamp(0, 1)


def draw_targets(keys: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """A label other than the true one for each image, uniform over the others, from one key an image."""
    others = _random.below(_random.uniform(_random.fold(keys, _TARGET), 1)[:, 0], num_classes - 1)
    return others + (others >= labels).long()
