"""Whether an attack on a defended network behaves as attacks should: more steps, wider bounds, gradients at all."""

from __future__ import annotations

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
from counteract.evaluation.batches import batches
from counteract.evaluation.crafting import draws_differ
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
        data: The clean images and their true labels.
        spec: Bounds, budget and draws.
        batch_size: Images per batch.
        advance: Told of each attack that is done.
    """

    bare: nn.Module
    defended: DefendedModule
    data: Dataset
    spec: EvaluationSpec
    batch_size: int
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

    def _outcome(self, attack: str, eps: float, budget: Budget) -> Outcome:
        """What is left after the attack with other bounds, judged as the run judges."""
        step = self.spec.attack.eps_step * eps / self.spec.attack.eps
        target = Target(self.bare, self.defended, draws_differ(self.defended, self.data.images), eps, step)
        correct, probability = [], []
        for images, labels, keys, kept in self._batches():
            judging = torch.stack([defence_keys(keys, draw) for draw in range(self.spec.draws)], dim=1)
            found = run_attack(attack, target, images, labels, _stream(keys), budget, judging)
            with torch.no_grad():
                draws = torch.stack([self.defended(found, each) for each in judging.unbind(1)]).double()
            correct.append((draws.argmax(2) == labels).double().mean(0)[:kept])
            probability.append(draws.exp().mean(0).gather(1, labels.unsqueeze(1)).squeeze(1)[:kept])
        self.advance(1)
        return Outcome(torch.cat(correct).cpu(), torch.cat(probability).cpu())

    def _zero_gradients(self) -> int:
        """How many clean images have no gradient of the margin at all."""
        count = 0
        for images, labels, keys, kept in self._batches():
            with borrowed(self.defended):
                _, gradient = Objective([self.defended], margin, labels, _stream(keys)).gradient(images, 0)
            count += int((gradient.flatten(1) == 0).all(1)[:kept].sum())
        self.advance(1)
        return count

    def _batches(self) -> list[tuple[Tensor, Tensor, Tensor, int]]:
        """Images, labels, examples' keys, and how many of them are not padding."""
        images, labels = self.data.images, self.data.labels
        rows = batches(len(images), self.batch_size, images.device)
        return [(images[index], labels[index], example_keys(0, index), kept) for index, kept in rows]


def _stream(keys: Tensor) -> Tensor:
    return _random.fold(attack_keys(keys), _PROBES)
