"""Survey of a stranger's network: it is asked a few questions before any work is done, on copies of a few images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from counteract import _random
from counteract._network import borrowed, device_of, dtype_of
from counteract._seeding import draws_unkeyed, seeded
from counteract.defended import check_undefended
from counteract.evaluation.identity import Probe
from counteract.models import check_network

_COUNT = 8
"""Images in a probe: a batch for which CPU kernels round as they do for larger ones."""

_COARSE = 4
"""The side of the coarse pattern that makes most of a probe's image."""


@dataclass(frozen=True)
class Survey:
    """Answers to the questions.

    Attributes:
        classes: The number of its outputs.
        unkeyed: True where its answers are random, with draws from global generators.
        repeatable: False where seeding these does not repeat its answers.
        gradients: True where an image has a gradient that is finite and not zero.
        probe: Its answers to the probe's images.
    """

    classes: int
    unkeyed: bool
    repeatable: bool
    gradients: bool
    probe: Probe

    def notes(self) -> list[str]:
        """Returns what reports must say of the network."""
        found = []
        if self.unkeyed and self.repeatable:
            found.append(
                "its answers are random, with draws of its own from global generators: these were seeded block "
                "by block, so its draws follow the block"
            )
        if self.unkeyed and not self.repeatable:
            found.append(
                "its answers are random, and seeding the global generators does not repeat them: another run "
                "gives other figures"
            )
        if not self.gradients:
            found.append(
                "it has no useful gradient (none at all, zeros or not finite): attacks with gradients were not run"
            )
        return found


def survey(network: nn.Module, name: str, images: Tensor, num_classes: int) -> Survey:
    """Asks a network on the CPU or where it is.

    Args:
        network: Images in [0, 1] to logits; it is left as it was found.
        name: Its name, for errors.
        images: Two images in [0, 1] of the data.
        num_classes: The number of the data's classes.

    Raises:
        UserError: (a ValueError) it does not map such images to as many logits.
    """
    check_undefended(network, f"model {name}", "name the undefended network, and what defends it as a defence")
    with seeded(0):
        check_network(network, name, images.clone(), num_classes)
    device, dtype = device_of(network) or torch.device("cpu"), dtype_of(network)
    asked = probe_images((images.shape[1], images.shape[2], images.shape[3])).to(device, dtype)

    def answer(x: Tensor) -> Tensor:
        found: Tensor = network(x)
        return found

    with borrowed(network):
        unkeyed = draws_unkeyed(answer, asked)
        probe = take_probe(answer, asked)
        repeatable = not unkeyed or probe.agrees(take_probe(answer, asked))
    gradients = bool(probe.slopes.isfinite().any() and (probe.slopes.nan_to_num() != 0).any())
    return Survey(probe.answers.shape[1], unkeyed, repeatable, gradients, probe)


def probe_images(shape: tuple[int, int, int]) -> Tensor:
    """Returns fixed images of a shape, coarse patterns with some noise: float32 in [0, 1], shape (8, C, H, W)."""
    channels, height, width = shape
    keys = _random.fold(_random.key(0), torch.arange(_COUNT))
    coarse = _random.uniform(_random.fold(keys, 0), channels * _COARSE**2).view(_COUNT, channels, _COARSE, _COARSE)
    fine = _random.uniform(_random.fold(keys, 1), channels * height * width).view(_COUNT, channels, height, width)
    smooth = F.interpolate(coarse.float(), size=(height, width), mode="bilinear", align_corners=False)
    return 0.9 * smooth + 0.1 * fine.float()


def take_probe(answer: Callable[[Tensor], Tensor], images: Tensor) -> Probe:
    """Asks for the answers to images, and for their derivatives along a fixed direction, with generators seeded.

    Args:
        answer: Images to scores.
        images: The probe's images.
    """
    with seeded(0), torch.no_grad():
        answers = answer(images.clone()).float().cpu()
    precise = images.dtype in (torch.float32, torch.float64)
    return Probe(answers, _slopes(answer, images), tolerance=1e-3 if precise else 3e-2)


def _slopes(answer: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Returns one derivative an image; nothing where there is no gradient."""
    points = images.clone().requires_grad_()
    direction = torch.linspace(-1, 1, images[0].numel(), device=images.device).sin().view(images.shape[1:])
    try:
        with seeded(0), torch.enable_grad():
            scores = answer(points * 1)  # a copy that is no leaf, which a network may write into
            weights = torch.linspace(-1, 1, scores.shape[1], device=scores.device).cos().to(scores.dtype)
            (gradient,) = torch.autograd.grad((scores * weights).sum(), points)
    except RuntimeError:
        return torch.empty(0)
    return (gradient * direction).flatten(1).sum(1).float().cpu()
