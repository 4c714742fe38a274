"""From attacks' names to what they mean, and PGD's adversarial examples on the bare network, snapshots of one run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from counteract import _random
from counteract._errors import unknown_name
from counteract._network import borrowed
from counteract.attacks import PGD, RECIPES, Recipe, draw_starts, draw_targets
from counteract.datasets import Dataset
from counteract.evaluation.batches import BatchSize, in_batches
from counteract.evaluation.cache import ExampleCache
from counteract.evaluation.fingerprint import fingerprint
from counteract.evaluation.shard import BLOCK
from counteract.evaluation.spec import AttackBudget

Block = TypeVar("Block")

NONE = "none"
"""The name of the null attack: the clean images."""

_PATTERN = re.compile(r"pgd([1-9][0-9]*)(-targeted)?")


@dataclass(frozen=True)
class Attack:
    """A parsed name: PGD with so many steps, targeted or not; no steps for the null attack and those of the suite."""

    name: str
    steps: int
    targeted: bool

    @property
    def recipe(self) -> Recipe | None:
        """What the suite has under this name; None for the null attack and for PGD."""
        return RECIPES.get(self.name)

    @property
    def adaptive(self) -> bool:
        """Whether it knows of the defence."""
        return self.recipe is not None and self.recipe.adaptive


def parse_attack(name: str) -> Attack:
    """Parses `none`, `pgd10`, `pgd10-targeted`, and so on for any number of steps, and the names of the suite.

    Raises:
        UserError: (a ValueError) the name is none of these.
    """
    if name == NONE or name in RECIPES:
        return Attack(name, 0, False)
    match = _PATTERN.fullmatch(name)
    if match is None:
        known = [f"pgd{steps}{suffix}" for steps in (10, 50, 200) for suffix in ("", "-targeted")]
        raise unknown_name("attack", name, [NONE, *known, *RECIPES], "any other number of steps")
    return Attack(name, int(match[1]), match[2] is not None)


@dataclass(frozen=True)
class Crafter:
    """Makes PGD's adversarial examples on a bare network, or finds those that were made before.

    Attributes:
        network: The bare network.
        identity: A hash of it.
        data: The clean images and their true labels.
        budget: The attacks' budget.
        cache: Where examples are found and left.
        batch_size: How many images go into a batch; it does not change the result.
        advance: Told the forward-equivalents done.
    """

    network: nn.Module
    identity: str
    data: Dataset
    budget: AttackBudget
    cache: ExampleCache
    batch_size: BatchSize
    advance: Callable[[int], None]

    def craft(self, attacks: Iterable[Attack], seed: int, blocks: Sequence[range]) -> dict[str, Tensor]:
        """Makes the adversarial examples of several attacks, by name, for blocks of the data's indices.

        Attacks that differ only in their number of steps are snapshots of one run.
        """
        attacks = list(attacks)
        index = torch.cat([torch.arange(block.start, block.stop) for block in blocks] or [torch.arange(0)])
        found = {attack.name: self.data.images[index] for attack in attacks if attack.steps == 0}
        for targeted in (False, True):
            group = {attack.steps: attack.name for attack in attacks if attack.steps and attack.targeted == targeted}
            if not group:
                continue
            made: dict[int, list[Tensor]] = {steps: [] for steps in group}
            for several in self.batched(blocks):
                for steps, images in self._blocks(several, list(group), seed, targeted).items():
                    made[steps].append(images)
                self.advance(attack_cost(group) * sum(map(len, several)))
            found |= {name: _concatenate(made[steps], self.data.images) for steps, name in group.items()}
        return found

    def batched(self, blocks: Sequence[Block]) -> Iterator[Sequence[Block]]:
        """As many blocks at a time as fill a batch."""
        together = max(1, self.batch_size.rows // BLOCK)
        for start in range(0, len(blocks), together):
            yield blocks[start : start + together]

    def _blocks(self, blocks: Sequence[range], steps: list[int], seed: int, targeted: bool) -> dict[int, Tensor]:
        """The examples of several blocks by step count: those that the cache lacks are made, and stored."""
        keys = {(block, count): self._key(block, count, seed, targeted) for block in blocks for count in steps}
        loaded = {place: self.cache.load(key) for place, key in keys.items()}
        found = {place: images for place, images in loaded.items() if images is not None}
        missing = [block for block in blocks if any((block, count) not in found for count in steps)]
        if missing:
            for count, images in self._attack(missing, steps, seed, targeted).items():
                for block, part in zip(missing, images.split([len(block) for block in missing]), strict=True):
                    if (block, count) not in found:
                        self.cache.store(keys[block, count], part)
                        found[block, count] = part
        device = self.data.images.device
        return {count: torch.cat([found[block, count].to(device) for block in blocks]) for count in steps}

    def _attack(self, blocks: Sequence[range], steps: list[int], seed: int, targeted: bool) -> dict[int, Tensor]:
        """Attacks the images of some blocks, one batch after the other."""
        data, budget = self.data, self.budget
        attack = PGD(self.network, eps=budget.eps, alpha=budget.eps_step, steps=steps, targeted=targeted)
        made: dict[int, list[Tensor]] = {count: [] for count in steps}
        device = data.images.device
        rows = torch.cat([torch.arange(block.start, block.stop, device=device) for block in blocks])
        keys = attack_keys(example_keys(seed, rows))

        def snapshots(index: Tensor) -> dict[int, Tensor]:
            images, key = data.images[rows[index]], keys[index]
            labels = self._labels(images, data.labels[rows[index]], key, targeted)
            adversarial: dict[int, Tensor] = attack(images, labels, starts=draw_starts(key, images, budget.eps))
            return adversarial

        for found, kept in in_batches(snapshots, len(rows), self.batch_size):
            for count, adversarial in found.items():
                made[count].append(adversarial[:kept])
        return {count: torch.cat(parts) for count, parts in made.items()}

    def _labels(self, images: Tensor, true: Tensor, keys: Tensor, targeted: bool) -> Tensor:
        """The labels that the attack moves towards or away from."""
        if targeted:
            return draw_targets(keys, true, self.data.num_classes)
        if self.budget.attack_label == "true":
            return true
        with borrowed(self.network), torch.no_grad():
            predicted: Tensor = self.network(images).argmax(1)
        return predicted

    def _key(self, block: range, steps: int, seed: int, targeted: bool) -> str:
        """What the cache knows a block's examples by."""
        index = slice(block.start, block.stop)
        images, labels = self.data.images[index], self.data.labels[index]
        where = (self.identity, images, labels, self.data.num_classes, block.start)
        return fingerprint(*where, self.budget, steps, seed, targeted)


def _concatenate(parts: list[Tensor], like: Tensor) -> Tensor:
    return torch.cat(parts) if parts else like[:0]


def attack_cost(steps: Iterable[int]) -> int:
    """Forward-equivalents an image of one run that passes through these step counts."""
    return 2 * max(steps, default=0)


def example_keys(seed: int, index: Tensor) -> Tensor:
    """One key for each example's index, from which everything that is random about it is drawn."""
    return _random.fold(_random.key(seed, index.device), index)


def attack_keys(keys: Tensor) -> Tensor:
    """The attacker's keys of examples' keys, independent of the defender's."""
    return _random.fold(keys, 0)


def defence_keys(keys: Tensor, draw: int = 0) -> Tensor:
    """The defender's keys of examples' keys for one of the draws that judge, independent of the attacker's."""
    return _random.fold(keys, 1 + draw)
