"""The victim of an attack: a network, its defence, and the bounds that the attacker keeps."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from counteract._batches import GRANULE, out_of_memory
from counteract._network import of_use
from counteract.attacks.threat_model import ThreatModel
from counteract.defended import DefendedModule
from counteract.models.survey import Survey, survey
from counteract.preprocessors import MixupInference
from counteract.preprocessors.first_order import FirstOrderPreprocessor
from counteract.whole import Defended, WholeModule


@dataclass(frozen=True)
class Victim:
    """A network under attack, and what an attacker is told of it.

    Attributes:
        undefended: The network without its defence: images in [0, 1] to logits.
        defended: The network with its defence, as it will be judged; an oblivious attack does not look at it.
        random: True if the defended network's answers depend on its keys: if not, one draw is as good as many.
        once: True if the parts that run once per input are among those that depend on keys. If not, the executions of
            several draws may as well be those of one, which then share what runs once.
        threat_model: The bound on a change.
        eps_step: The size of PGD's step.
        num_classes: The number of classes.
    """

    undefended: nn.Module
    defended: Defended
    random: bool
    once: bool
    threat_model: ThreatModel
    eps_step: float
    num_classes: int


def survey_networks(
    defended: Defended, images: Tensor, num_classes: int | None = None, known: Collection[nn.Module] = ()
) -> list[Survey]:
    """Surveys the networks in a defended network, the one that answers first; then those that its defences ask.

    Args:
        defended: The defended network.
        images: A few images in [0, 1] of the data.
        num_classes: The number of the data's classes; None if that is not known.
        known: Networks that were surveyed already.

    Raises:
        UserError: (a ValueError) one of them is not what it must be: see `survey`.
    """
    if isinstance(defended, WholeModule):
        name = type(defended.model).__name__
        return [survey(defended.model, name, images, num_classes, whole=True, keyed=defended.keyed)]
    parts = (*defended.preprocessing_defences, *defended.transforms)
    asked = [part.model for part in parts if isinstance(part, (FirstOrderPreprocessor, MixupInference))]
    networks = {id(network): network for network in (defended.model, *asked)}
    for network in known:
        networks.pop(id(network), None)
    received = _received(defended, images)
    return [
        survey(network, type(network).__name__, received if network is defended.model else images, num_classes)
        for network in networks.values()
    ]


def _received(defended: DefendedModule, images: Tensor) -> Tensor:
    """The images that a network gets whose defences encode them; else those that are given, which say as much."""
    keys = torch.arange(len(images), device=images.device)
    with torch.no_grad():
        encoded = defended.preprocess(images, keys)
    return images if encoded.shape == images.shape else encoded


def randomness(defended: Defended, images: Tensor) -> tuple[bool, bool]:
    """Asks for a few images with two keys each.

    Returns:
        Two answers: True if the network's own differ; True if those of the parts do that run once per input, which is
        all of a `WholeModule`.
    """
    few = images[:GRANULE]
    keys = torch.arange(len(few), device=few.device)
    with torch.no_grad():
        whole = _differ(defended(few, keys), defended(few, keys + len(few)))
        if isinstance(defended, WholeModule):
            return whole, whole
        return whole, _differ(defended.preprocess(few, keys), defended.preprocess(few, keys + len(few)))


def _differ(one: Tensor, other: Tensor) -> bool:
    """Returns True where two answers differ; one that is not a number is the same as another."""
    return not torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)


def has_gradients(answer: Callable[[Tensor], Tensor], images: Tensor) -> bool:
    """Returns True where some of a few images have a gradient that is finite and not zero.

    Args:
        answer: Maps images to scores, shape (N, classes).
        images: The images, in [0, 1], shape (N, C, H, W).
    """
    return bool(with_gradients(answer, images[:GRANULE]).any())


def with_gradients(answer: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Returns True of each image that has a gradient that is finite and not zero in some pixel: shape (N,).

    Args:
        answer: Maps images to scores, shape (N, classes).
        images: The images, in [0, 1], shape (N, C, H, W).
    """
    points = images.clone().requires_grad_()
    try:
        with torch.enable_grad():
            scores = answer(points)
            weights = torch.linspace(-1, 1, scores.shape[1], dtype=scores.dtype, device=scores.device)
            (gradient,) = torch.autograd.grad((scores * weights).sum(), points)
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        # autograd's, for answers that do not depend on the images by anything that it knows of
        return torch.zeros(len(images), dtype=torch.bool, device=images.device)
    return of_use(gradient)
