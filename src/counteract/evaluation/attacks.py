"""From attacks' names to adversarial examples on the bare network: `pgd50-targeted` and the like."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from counteract import _random
from counteract._errors import unknown_name
from counteract._network import borrowed
from counteract.attacks import PGD, draw_starts, draw_targets
from counteract.datasets import Dataset
from counteract.evaluation.batches import batches
from counteract.evaluation.spec import AttackBudget

NONE = "none"
"""The name of the null attack: the clean images."""

_PATTERN = re.compile(r"pgd([1-9][0-9]*)(-targeted)?")


@dataclass(frozen=True)
class Attack:
    """A parsed name: PGD with so many steps, targeted or not; no steps for the null attack."""

    name: str
    steps: int
    targeted: bool


def parse_attack(name: str) -> Attack:
    """Parses `none`, `pgd10`, `pgd10-targeted`, and so on for any number of steps.

    Raises:
        UserError: (a ValueError) the name is none of these.
    """
    if name == NONE:
        return Attack(name, 0, False)
    match = _PATTERN.fullmatch(name)
    if match is None:
        known = [f"pgd{steps}{suffix}" for steps in (10, 50, 200) for suffix in ("", "-targeted")]
        raise unknown_name("attack", name, [NONE, *known], "any other number of steps")
    return Attack(name, int(match[1]), match[2] is not None)


def craft(
    network: nn.Module,
    data: Dataset,
    attacks: Iterable[Attack],
    budget: AttackBudget,
    *,
    keys: Tensor,
    batch_size: int,
    advance: Callable[[int], None],
) -> dict[str, Tensor]:
    """Makes the adversarial examples of every attack, by name, on the network's device or the CPU's memory.

    Attacks that differ only in their number of steps are snapshots of one run.

    Args:
        network: The bare network.
        data: The clean images and their true labels.
        attacks: Which attacks.
        budget: Their budget.
        keys: One key per image, which fixes its starting point and its target.
        batch_size: Images per batch; it does not change the result, up to round-off.
        advance: Told the forward-equivalents done, image by image.
    """
    attacks = list(attacks)
    found = {attack.name: data.images for attack in attacks if attack.steps == 0}
    for targeted in (False, True):
        group = {attack.steps: attack.name for attack in attacks if attack.steps and attack.targeted == targeted}
        if not group:
            continue
        attack = PGD(network, eps=budget.eps, alpha=budget.eps_step, steps=list(group), targeted=targeted)
        made: dict[int, list[Tensor]] = {steps: [] for steps in group}
        for index, kept in batches(len(data), batch_size, keys.device):
            images, key = data.images[index], keys[index]
            labels = _labels(network, images, data.labels[index], key, targeted, budget, data.num_classes)
            for steps, adversarial in attack(images, labels, starts=draw_starts(key, images, budget.eps)).items():
                made[steps].append(adversarial[:kept])
            advance(attack_cost(group) * kept)
        found |= {name: torch.cat(made[steps]) for steps, name in group.items()}
    return found


def _labels(
    network: nn.Module, images: Tensor, true: Tensor, keys: Tensor, targeted: bool, budget: AttackBudget, classes: int
) -> Tensor:
    """The labels that the attack moves towards or away from."""
    if targeted:
        return draw_targets(keys, true, classes)
    if budget.attack_label == "true":
        return true
    with borrowed(network), torch.no_grad():
        predicted: Tensor = network(images).argmax(1)
    return predicted


def attack_cost(steps: Iterable[int]) -> int:
    """Forward-equivalents an image of one run that passes through these step counts."""
    return 2 * max(steps, default=0)


def attack_keys(keys: Tensor) -> Tensor:
    """The attacker's keys of examples' keys, independent of the defender's."""
    return _random.fold(keys, 0)


def defence_keys(keys: Tensor) -> Tensor:
    """The defender's keys of examples' keys, independent of the attacker's."""
    return _random.fold(keys, 1)
