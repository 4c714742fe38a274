"""Attacks without gradients: they ask for scores, or for labels alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from counteract import _random
from counteract.attacks import losses
from counteract.attacks.gradients import SUITE, both_borrowed
from counteract.attacks.objective import Average, Objective
from counteract.attacks.preset import AttackPreset
from counteract.attacks.rays import rays
from counteract.attacks.square import square
from counteract.attacks.square_l2 import square_l2
from counteract.attacks.threat_model import ThreatModel
from counteract.attacks.victim import Victim
from counteract.attacks.views import DEFENDED

_SQUARES = -2
"""The stream of squares and colours."""

Search = Callable[[Objective, Tensor, Tensor, ThreatModel, int], Tensor]
"""A search: from an objective, images, keys, the bound and the number of queries to the points that were found."""


def by_squares(objective: Objective, images: Tensor, keys: Tensor, bound: ThreatModel, queries: int) -> Tensor:
    """Random squares: see `square`, and `square_l2` for L2."""
    search = square_l2 if bound.norm == "L2" else square
    return search(objective, images, _random.fold(keys, _SQUARES), eps=bound.eps, queries=queries)[0]


def by_rays(objective: Objective, images: Tensor, keys: Tensor, bound: ThreatModel, queries: int) -> Tensor:
    """Rays from the clean image: see `rays`."""
    del keys
    return rays(objective, images, eps=bound.eps, queries=queries, norm=bound.metric)


@dataclass(frozen=True)
class Queries:
    """An attack that asks the defended network for its answers alone.

    Attributes:
        search: The way in which it asks.
        loss: The part of an answer that it looks at.
        average: See `Objective`.
    """

    search: Search
    loss: losses.Loss
    average: Average = "outputs"

    def run(
        self, victim: Victim, images: Tensor, labels: Tensor, keys: Tensor, preset: AttackPreset, known: Tensor | None
    ) -> Tensor:
        """Attacks a batch: see `registry.Run`."""
        del known
        draws = DEFENDED.draws(victim, preset)
        keys = _random.fold(keys, SUITE)
        networks = DEFENDED.networks(victim, preset, draws)
        objective = Objective(networks, self.loss, labels, keys, draws, self.average)
        with both_borrowed(victim):
            return self.search(objective, images, keys, victim.threat_model, preset.queries)
