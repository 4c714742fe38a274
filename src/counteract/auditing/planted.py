"""Binarization test: an adversarial example that certainly exists is planted, and the attack is asked to find it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from counteract import _random
from counteract._network import borrowed
from counteract.attacks import Objective, ThreatModel, draw_starts
from counteract.attacks.apgd import apgd
from counteract.attacks.losses import margin
from counteract.attacks.objective import Scores, mean_output
from counteract.auditing.probes import Prober, stream
from counteract.evaluation.blocks import Sample
from counteract.whole import Defended

FEW = 32
"""The images that one is planted for, of the first block."""

_CORNERS, _INSIDE = 4, 8
"""Points of the bound's corners among which one is planted; and points inside of it, which must be no examples."""

_NEAR = 0.9
"""The place of the threshold between the inner points' highest score and the planted point's."""

_DRAWS = 4
"""Draws of a random network that scores are averaged over."""


@dataclass(frozen=True)
class Planted:
    """The outcome of the test.

    Attributes:
        planted: The number of images for which one could be planted: fresh draws agree that it is one.
        found: The number of those for which the attack found one.
    """

    planted: int
    found: int


def plant(prober: Prober, network: Defended) -> Planted:
    """Plants an example for each of a few images, and attacks.

    The answers to an image and to a corner of the bound span a direction; a new classifier with two classes says how
    far answers go along it, with a threshold just below the corner and above every inner point. So the corner is an
    adversarial example of the new classifier, which asks the same network and has the same gradients.

    Source: Zimmermann et al., "Increasing confidence in adversarial robustness evaluations", NeurIPS 2022; there the
    classifier reads features, which a stranger's network does not hand out.

    Args:
        prober: The attacker, whose bounds and steps hold.
        network: The network as the attack under test asks it.
    """
    counts = []
    sample = next(prober.samples())
    few = Sample(sample.block, sample.index[:FEW], sample.images[:FEW], sample.labels[:FEW])
    draws = _DRAWS if prober.random else 1

    def tested(index: Tensor) -> Tensor:
        with borrowed(network):
            return _test(prober, network, few.images[index], prober.keys(few)[index], draws)

    for found, kept in prober.batches(tested, few, "planted", count=len(few.index)):
        counts.append(found[:, :kept].sum(1))
    planted, found = torch.stack(counts).sum(0).tolist()
    return Planted(planted, found)


def _test(prober: Prober, network: Scores, images: Tensor, keys: Tensor, draws: int) -> Tensor:
    """Returns in two rows for which images an example was planted, and for which one was found: bool, shape (2, N)."""
    bound, keys = prober.spec.threat_model, stream(keys)
    norm, eps = bound.metric, bound.eps
    judge, hold = (_averaged(network, _random.fold(keys, number), draws) for number in (1, 2))
    corners = [norm.project(images + _corner(bound, images, keys, n), images, eps) for n in range(_CORNERS)]
    inside = [images, *(draw_starts(_random.fold(keys, n), images, eps, norm) for n in range(_INSIDE))]
    direction, threshold, corner = _threshold(judge, corners, inside)
    labels = torch.zeros(len(images), dtype=torch.int64, device=images.device)

    def binary(points: Tensor, given: Tensor) -> Tensor:
        score = (network(points, given).log_softmax(1) * direction).sum(1) - threshold
        return torch.stack([-score, score], 1)

    def over(points: Tensor) -> Tensor:
        return (hold(points) * direction).sum(1) > threshold

    planted = over(corner)
    if draws > 1:  # else the same answers were looked at already
        planted = planted & ~torch.stack([over(point) for point in inside]).any(0)
    objective = Objective([binary], margin, labels, keys, prober.spec.preset.draws if draws > 1 else 1, "losses")
    starts = draw_starts(_random.fold(keys, 3), images, eps, norm)
    points, _ = apgd(objective, images, starts, eps=eps, steps=prober.spec.preset.steps, norm=norm)
    return torch.stack([planted, planted & over(points)])


def _threshold(
    judge: Callable[[Tensor], Tensor], corners: list[Tensor], inside: list[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns for each image a direction among answers, a threshold along it, and the corner that is beyond it."""
    inner = torch.stack([judge(points) for points in inside])
    found = []
    for corner in corners:
        outer = judge(corner)
        direction = torch.nn.functional.normalize(outer - inner[0], dim=1)
        highest, own = (inner * direction).sum(2).amax(0), (outer * direction).sum(1)
        found.append((own - highest, direction, highest + _NEAR * (own - highest), corner))
    best = torch.stack([gap for gap, *_ in found]).argmax(0)
    rows = torch.arange(len(best), device=best.device)
    direction, threshold, corner = (torch.stack([each[place] for each in found])[best, rows] for place in (1, 2, 3))
    return direction, threshold, corner


def _averaged(network: Scores, keys: Tensor, draws: int) -> Callable[[Tensor], Tensor]:
    """A function from images to log-probabilities, the mean of some draws."""

    def answer(images: Tensor) -> Tensor:
        with torch.no_grad():
            every = [network(images, _random.fold(keys, draw)) for draw in range(draws)]
            return mean_output(every).log_softmax(1)

    return answer


def _corner(bound: ThreatModel, images: Tensor, keys: Tensor, number: int) -> Tensor:
    """Random signs, of the size of the bound."""
    shape = images.shape[1:]
    draws = _random.uniform(_random.fold(_random.fold(keys, _CORNERS), number), shape.numel())
    signs = (2 * (draws >= 0.5).to(images.dtype) - 1).view(len(images), *shape)
    return signs * (bound.eps / bound.metric.size(signs[:1]))
