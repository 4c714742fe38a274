"""Two indicators of attack failure that a run's accuracies do not show: unstable predictions and silent success."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from counteract import _random
from counteract._network import borrowed
from counteract.attacks import Objective, draw_starts
from counteract.attacks.apgd import apgd
from counteract.attacks.losses import cross_entropy, margin
from counteract.attacks.objective import Slope
from counteract.auditing.probes import Prober, stream

FEW = 32
"""The images that are looked at, of the first block."""

MANY = 0.1
"""The share of images from which on an indicator of attack failure counts."""

_NEIGHBOURS, _NEARBY, _JUMP = 5, 0.1, 0.1
"""Neighbours of an image; their distance, in units of eps; and the relative change of the margin that is a jump."""


@dataclass(frozen=True)
class Indicators:
    """The indicators of a few images, each of shape (N,), bool.

    Attributes:
        unstable: The margin jumps between close neighbours: a gradient says little there.
        silent: The attack passed a point that was misclassified and handed back one that is not.

    Source: Pintor et al., "Indicators of attack failure: debugging and improving optimization of adversarial examples",
    NeurIPS 2022.
    """

    unstable: Tensor
    silent: Tensor

    @property
    def often_unstable(self) -> bool:
        """True where that is so on many images."""
        return float(self.unstable.double().mean()) > MANY


@dataclass(frozen=True)
class _Watched(Objective):
    """An objective that remembers the highest margin on the way."""

    seen: list[Tensor] = field(default_factory=list)

    def slope(self, images: Tensor, step: int) -> Slope:
        """The objective at some points: see `Objective`."""
        found = super().slope(images, step)
        self.seen.append(found.leads)
        return found


def indicate(prober: Prober) -> Indicators:
    """Looks at a few images."""
    sample = next(prober.samples())
    images, labels, keys = sample.images[:FEW], sample.labels[:FEW], prober.keys(sample)[:FEW]

    def looked_at(index: Tensor) -> Tensor:
        with borrowed(prober.judged.attacked):
            return _look(prober, images[index], labels[index], stream(keys[index]))

    parts = [found[:, :kept] for found, kept in prober.batches(looked_at, sample, "indicators", count=len(images))]
    unstable, silent = torch.cat(parts, dim=1).cpu()
    return Indicators(unstable, silent)


def _look(prober: Prober, images: Tensor, labels: Tensor, keys: Tensor) -> Tensor:
    """Returns the indicators of a batch in two rows."""
    preset, eps, norm = prober.spec.preset, prober.spec.threat_model.eps, prober.spec.threat_model.metric
    networks, draws = [prober.judged.attacked], preset.draws if prober.random else 1
    objective = Objective(networks, margin, labels, keys, draws, certain=not prober.random)
    centre = objective.value(images, 0)
    near = [draw_starts(_random.fold(keys, n), images, _NEARBY * eps, norm) for n in range(_NEIGHBOURS)]
    apart = torch.stack([(objective.value(points, 0) - centre).abs() for points in near]).mean(0)
    unstable = apart > _JUMP * (1 + centre.abs())
    watched = _Watched(**{**vars(objective), "loss": cross_entropy})
    starts = draw_starts(keys, images, eps, norm)
    points, _ = apgd(watched, images, starts, eps=eps, steps=preset.steps, norm=norm)
    passed = torch.stack(watched.seen).amax(0) > 0
    return torch.stack([unstable, passed & (objective.value(points, preset.steps + 1) <= 0)])
