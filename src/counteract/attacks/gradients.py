"""Attacks along gradients: several runs of a search on a view, and the choice among the points that they end with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from counteract import _random
from counteract._network import borrowed
from counteract.attacks import losses
from counteract.attacks.apgd import apgd
from counteract.attacks.ascent import ascend
from counteract.attacks.objective import Average, Objective, Scores
from counteract.attacks.pgd import draw_starts
from counteract.attacks.preset import AttackPreset
from counteract.attacks.victim import Victim
from counteract.attacks.views import View, keyless

SUITE = 2
"""The stream of an attacker's keys that these attacks and those by queries draw from; PGD's are 0 and 1."""

_SELECT = -1
"""The stream of choices beside those of the runs, which count from 0."""

_JUDGING = 4
"""The number of draws that pick among the points that the runs end with, in units of those of a step."""

_LAST = 1 / 16
"""The size of the last small steps, in units of eps."""

Search = Callable[[Victim, Objective, Tensor, Tensor, AttackPreset], Tensor]
"""A search: from a victim, an objective, images, starting points and the effort to the points of the highest loss."""


class Runs(Protocol):
    """The losses of an attack's runs."""

    @property
    def least_classes(self) -> int:
        """The number of classes that the losses need."""

    def losses(
        self, objective: Objective, others: Scores | None, images: Tensor, preset: AttackPreset
    ) -> list[losses.Loss]:
        """The loss of each run.

        Args:
            objective: The attack's, whose last network picks the best of its points.
            others: The undefended network, which may see other classes than that one; None where it is that one.
            images: The clean images.
            preset: The effort.
        """

    def steps(self, preset: AttackPreset) -> int:
        """The number of steps of each run."""

    def begins_undefended(self, run: int) -> bool:
        """Returns True for a run of an adaptive attack that starts where the same search ends without the defence.

        Gradients through a defence may lead nowhere: an attack that knows of it should do no worse than one that does
        not.
        """


@dataclass(frozen=True)
class Restarts:
    """The same loss in each run, from other starting points; the first begins on the undefended network."""

    loss: losses.Loss
    least_classes: int = 2

    def losses(
        self, objective: Objective, others: Scores | None, images: Tensor, preset: AttackPreset
    ) -> list[losses.Loss]:
        """The loss, as often."""
        del objective, others, images
        return [self.loss] * preset.restarts

    def steps(self, preset: AttackPreset) -> int:
        """The preset's."""
        return preset.steps

    def begins_undefended(self, run: int) -> bool:
        """True of the first run."""
        return run == 0


@dataclass(frozen=True)
class TowardsClasses:
    """One run towards each of the likeliest other classes, each of which begins on the undefended network.

    They are those of the defended and of the undefended network in turn: a defence that makes an image look like
    another class hides from its answers the class that is near.
    """

    least_classes: int = 4

    def losses(
        self, objective: Objective, others: Scores | None, images: Tensor, preset: AttackPreset
    ) -> list[losses.Loss]:
        """The loss towards each of the classes."""
        scores = _others(objective, images)
        likely = order(scores)
        if others is not None:
            second = order(_others(replace(objective, networks=[others]), images))
            likely = in_turn(order(scores, second), second)
        return [losses.TargetedDLR(column) for column in likely[:, : preset.targets].unbind(1)]

    def steps(self, preset: AttackPreset) -> int:
        """The preset's for such runs."""
        return preset.target_steps

    def begins_undefended(self, run: int) -> bool:
        """True of every run."""
        del run
        return True


def by_pgd(victim: Victim, objective: Objective, images: Tensor, starts: Tensor, preset: AttackPreset) -> Tensor:
    """Steps of one size: see `ascend`."""
    threat, size = victim.threat_model, victim.eps_step
    return ascend(objective, images, starts, eps=threat.eps, step_size=size, steps=preset.steps, norm=threat.metric)[0]


def by_apgd(victim: Victim, objective: Objective, images: Tensor, starts: Tensor, preset: AttackPreset) -> Tensor:
    """Steps that halve themselves: see `apgd`."""
    threat = victim.threat_model
    return apgd(objective, images, starts, eps=threat.eps, steps=preset.steps, norm=threat.metric)[0]


@dataclass(frozen=True)
class Gradients:
    """An attack along gradients.

    Of the points that its runs end with, for each example that one is kept which is misclassified most often on draws
    that none of them has seen: the highest loss on a few draws of its own is luck in part.

    Attributes:
        view: The networks that are differentiated.
        runs: The losses of its runs.
        search: The way to the highest loss.
        average: See `Objective`.
        times: The number of steps, in units of the preset's.
        finish: The number of steps of a sixteenth of eps up the margin at the end, from the best point; none through a
            random defence. APGD's own may still be too long to reach the last thousandths.
    """

    view: View
    runs: Runs
    search: Search = by_apgd
    average: Average = "outputs"
    times: int = 1
    finish: int = 0

    def run(
        self, victim: Victim, images: Tensor, labels: Tensor, keys: Tensor, preset: AttackPreset, known: Tensor | None
    ) -> Tensor:
        """Attacks a batch: see `registry.Run`."""
        preset = preset.model_copy(update={"steps": self.times * self.runs.steps(preset)})
        draws = self.view.draws(victim, preset, self.average)
        networks = self.view.networks(victim, preset, draws)
        keys = _random.fold(keys, SUITE)
        certain = not (victim.random and self.view.adaptive)
        known = known if self.view.known else None
        objective = Objective(networks, losses.margin, labels, keys, draws, self.average, known, certain)
        with both_borrowed(victim):
            candidates = self._candidates(objective, victim, images, preset)
            many = _JUDGING * draws if victim.random and self.view.adaptive else 1
            judge = replace(objective, networks=networks[-1:], loss=losses.odds, draws=many, average="losses")
            best = _best(judge, candidates)
            if not (self.finish and certain):
                return best
            threat = victim.threat_model
            size = threat.eps * _LAST
            return ascend(
                objective, images, best, eps=threat.eps, step_size=size, steps=self.finish, norm=threat.metric
            )[0]

    def _candidates(self, objective: Objective, victim: Victim, images: Tensor, preset: AttackPreset) -> list[Tensor]:
        """The points that the runs end with, and those on the undefended network that some begin with."""
        found, threat = [], victim.threat_model
        others = keyless(victim.undefended) if self.view.adaptive else None
        for run, loss in enumerate(self.runs.losses(objective, others, images, preset)):
            stream = _random.fold(objective.keys, run)
            starts = draw_starts(stream, images, threat.eps, threat.metric)
            given = replace(objective, loss=loss, keys=stream)
            if self._begins_undefended(run):
                first = replace(given, networks=[keyless(victim.undefended)], draws=1, known=None)
                starts = self.search(victim, first, images, starts, preset)
                found.append(starts)
            found.append(self.search(victim, given, images, starts, preset))
        return found

    def _begins_undefended(self, run: int) -> bool:
        return self.view.adaptive and self.runs.begins_undefended(run)


@contextmanager
def both_borrowed(victim: Victim) -> Iterator[None]:
    """Borrows the network without and with its defence."""
    with borrowed(victim.undefended), borrowed(victim.defended):
        yield


def _others(objective: Objective, images: Tensor) -> Tensor:
    """The scores of clean images, in which the true class is out of the race: shape (N, classes)."""
    with torch.no_grad():
        scores = objective.networks[-1](images, _random.fold(objective.keys, _SELECT))
    return scores.nan_to_num().scatter(1, objective.labels.unsqueeze(1), -torch.inf)


def order(scores: Tensor, second: Tensor | None = None) -> Tensor:
    """The classes but for the last, the highest score first: int64, shape (N, classes - 1).

    Args:
        scores: The scores, shape (N, classes), the last class's minus infinity.
        second: Another such order, which decides among classes of one score, as of answers that name no more than one;
            None for the classes' own.
    """
    if second is None:
        return scores.argsort(dim=1, descending=True, stable=True)[:, :-1]
    return second.gather(1, scores.gather(1, second).argsort(dim=1, descending=True, stable=True))


def in_turn(first: Tensor, second: Tensor) -> Tensor:
    """The first class of one order, the first of another, the second of the one and so on, each class once.

    Args:
        first: An order of all classes but one: int64, shape (N, classes - 1).
        second: Another order of the same ones.
    """
    count = first.shape[1]
    places = torch.arange(count, device=first.device).expand_as(first)
    none = first.new_full((len(first), count + 1), 2 * count)
    own, other = (none.scatter(1, order, places) for order in (first, second))
    return torch.minimum(2 * own, 2 * other + 1).argsort(dim=1)[:, :-1]


def _best(judge: Objective, candidates: Sequence[Tensor]) -> Tensor:
    """For each example the candidate that the judge gives the highest value, on draws that no run has seen."""
    if len(candidates) == 1:
        return candidates[0]
    values = torch.stack([judge.value(points, _SELECT) for points in candidates])
    winner = values.argmax(0)
    return torch.stack(list(candidates))[winner, torch.arange(len(winner), device=winner.device)]
