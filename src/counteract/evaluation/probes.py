"""Whether an attack on a defended network behaves as attacks should: more steps, wider bounds, gradients at all."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from counteract import _random
from counteract._network import borrowed
from counteract.attacks import Budget, Objective, Target, run_attack
from counteract.attacks.losses import margin
from counteract.datasets import Dataset
from counteract.defended import DefendedModule
from counteract.evaluation.attacks import attack_keys, defence_keys, example_keys
from counteract.evaluation.batches import BatchSize, in_batches
from counteract.evaluation.crafting import randomness
from counteract.evaluation.spec import EvaluationSpec

WIDE = 0.5
"""A bound so wide that every image can become plain grey: no network can be better than chance."""

_PROBES = 3
"""The probes' stream of an attacker's keys; the suite has 2."""


@dataclass(frozen=True)
class Outcome:
    """What an attack left of a defended network.

    Attributes:
        correct: In which share of the draws each example is right: float64, shape (N,).
        probability: Of the true class, the mean over draws: float64, shape (N,). A loss that has bounds.
    """

    correct: Tensor
    probability: Tensor


@dataclass(frozen=True)
class Probes:
    """One attack with the bounds and steps of a run, and with others.

    Attributes:
        attack: Its name.
        base: As the run has it.
        longer: With twice the steps.
        wider: With twice the eps.
        widest: With an eps of `WIDE`.
        zero: How many images have a gradient of nothing but zeros.
    """

    attack: str
    base: Outcome
    longer: Outcome
    wider: Outcome
    widest: Outcome
    zero: int


@dataclass(frozen=True)
class Prober:
    """Attacks one defended network, batch by batch.

    Attributes:
        bare: The network without the defence.
        defended: The network with it.
        attacked: The same in the precision in which it is attacked.
        data: The clean images and their true labels.
        spec: Bounds, budget and draws.
        batch_size: How many images go into a batch.
        advance: Told of each attack that is done.
    """

    bare: nn.Module
    defended: DefendedModule
    attacked: DefendedModule
    data: Dataset
    spec: EvaluationSpec
    batch_size: BatchSize
    advance: Callable[[int], None]

    def probe(self, attack: str) -> Probes:
        """Everything about one attack."""
        budget, eps = self.spec.budget, self.spec.attack.eps
        longer = budget.model_copy(update={"steps": 2 * budget.steps})
        return Probes(
            attack,
            base=self._outcome(attack, eps, budget),
            longer=self._outcome(attack, eps, longer),
            wider=self._outcome(attack, 2 * eps, budget),
            widest=self._outcome(attack, WIDE, budget),
            zero=self._zero_gradients(),
        )

    @functools.cached_property
    def _randomness(self) -> tuple[bool, bool]:
        return randomness(self.attacked, self.data.images)

    def _outcome(self, attack: str, eps: float, budget: Budget) -> Outcome:
        """What is left after the attack with other bounds, judged as the run judges."""
        step = self.spec.attack.eps_step * eps / self.spec.attack.eps
        random, once = self._randomness
        target = Target(self.bare, self.attacked, random, eps, step, once)

        def judged(index: Tensor) -> Tensor:
            images, labels, keys = self._examples(index)
            judging = torch.stack([defence_keys(keys, draw) for draw in range(self.spec.draws)], dim=1)
            found = run_attack(attack, target, images, labels, _stream(keys), budget, judging)
            with torch.no_grad():
                draws = torch.stack([self.defended(found, each) for each in judging.unbind(1)]).double()
            correct = (draws.argmax(2) == labels).double().mean(0)
            return torch.stack([correct, draws.exp().mean(0).gather(1, labels.unsqueeze(1)).squeeze(1)])

        correct, probability = self._over_all(judged).unbind()
        return Outcome(correct, probability)

    def _zero_gradients(self) -> int:
        """How many clean images have no gradient of the margin at all."""

        def zero(index: Tensor) -> Tensor:
            images, labels, keys = self._examples(index)
            with borrowed(self.attacked):
                _, gradient = Objective([self.attacked], margin, labels, _stream(keys)).gradient(images, 0)
            return (gradient.flatten(1) == 0).all(1)

        return int(self._over_all(zero).sum())

    def _over_all(self, measure: Callable[[Tensor], Tensor]) -> Tensor:
        """What a measure of the examples of some indices is of all: its last axis is that of the examples."""
        parts = [found[..., :kept] for found, kept in in_batches(measure, len(self.data), self.batch_size)]
        self.advance(1)
        return torch.cat(parts, dim=-1).cpu()

    def _examples(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images, labels and examples' keys."""
        return self.data.images[index], self.data.labels[index], example_keys(0, index)


def _stream(keys: Tensor) -> Tensor:
    return _random.fold(attack_keys(keys), _PROBES)
