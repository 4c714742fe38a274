"""The suite's adversarial examples: made once for what they are made on, and found again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from counteract import _random
from counteract.attacks import Budget, Target, attack_calls, run_attack
from counteract.defended import DefendedModule
from counteract.evaluation.attacks import Attack, Crafter, attack_keys, defence_keys, example_keys
from counteract.evaluation.batches import GRANULE, in_batches
from counteract.evaluation.defences import forward_equivalents
from counteract.evaluation.fingerprint import fingerprint
from counteract.evaluation.parameters import DefenceParameters

_SUITE = 2
"""The suite's stream of an attacker's keys; PGD's start and target are drawn from 0 and 1."""


@dataclass(frozen=True)
class Victim:
    """What is attacked.

    Attributes:
        defended: The network with a defence; a transfer attack is given the one without.
        defence: The defence's name.
        parameters: Its parameters.
        mixed: A hash of the images that mixup inference mixes with.
        random: Whether its answers depend on its keys.
    """

    defended: DefendedModule
    defence: str
    parameters: DefenceParameters
    mixed: str
    random: bool


def draws_differ(defended: DefendedModule, images: Tensor) -> bool:
    """Whether a defence answers differently with other keys, on the first few images."""
    few = images[:GRANULE]
    keys = torch.arange(len(few), device=few.device)
    with torch.no_grad():
        return not torch.equal(defended(few, keys), defended(few, keys + len(few)))


@dataclass(frozen=True)
class SuiteCrafter:
    """Makes adversarial examples with the attacks of the suite, or finds those that were made before.

    Attributes:
        crafter: The network, the data and the cache; and PGD's examples, which are not made here.
        budget: How hard the attacks try.
        draws: How many draws will judge the examples, for the attacks that know them.
    """

    crafter: Crafter
    budget: Budget
    draws: int

    def craft(self, attack: Attack, victim: Victim, seed: int, blocks: Sequence[range]) -> Tensor:
        """The adversarial examples of one attack on one victim, for blocks of the data's indices."""
        parts = [self.crafter.data.images[:0]]
        cost = self.cost(attack, victim)
        for several in self.crafter.batched(blocks):
            parts.append(self._blocks(several, attack, victim, seed))
            self.crafter.advance(cost * sum(map(len, several)))
        return torch.cat(parts)

    def cost(self, attack: Attack, victim: Victim) -> int:
        """Forward-equivalents an image, as if everything that the attack asks for cost what the defence does."""
        classes = self.crafter.data.num_classes
        calls = attack_calls(attack.name, self.budget, random=victim.random, classes=classes)
        return calls * (forward_equivalents(victim.defended) if attack.adaptive else 1)

    def _blocks(self, blocks: Sequence[range], attack: Attack, victim: Victim, seed: int) -> Tensor:
        """The examples of several blocks: those that the cache lacks are made, and stored."""
        cache, device = self.crafter.cache, self.crafter.data.images.device
        keys = {block: self._key(block, attack, victim, seed) for block in blocks}
        found = {block: cache.load(key) for block, key in keys.items()}
        missing = [block for block in blocks if found[block] is None]
        if missing:
            made = self._attack(missing, attack, victim, seed).split([len(block) for block in missing])
            for block, part in zip(missing, made, strict=True):
                cache.store(keys[block], part)
                found[block] = part
        return torch.cat([images.to(device) for images in found.values() if images is not None])

    def _attack(self, blocks: Sequence[range], attack: Attack, victim: Victim, seed: int) -> Tensor:
        """Attacks the images of some blocks, one batch after the other."""
        data, bounds = self.crafter.data, self.crafter.budget
        target = Target(self.crafter.network, victim.defended, victim.random, bounds.eps, bounds.eps_step)
        device = data.images.device
        rows = torch.cat([torch.arange(block.start, block.stop, device=device) for block in blocks])
        examples = example_keys(seed, rows)
        keys = _random.fold(attack_keys(examples), _SUITE)
        judging = torch.stack([defence_keys(examples, draw) for draw in range(self.draws)], dim=1)

        def attacked(index: Tensor) -> Tensor:
            images, labels = data.images[rows[index]], data.labels[rows[index]]
            return run_attack(attack.name, target, images, labels, keys[index], self.budget, judging[index])

        return torch.cat([found[:kept] for found, kept in in_batches(attacked, len(rows), self.crafter.batch_size)])

    def _key(self, block: range, attack: Attack, victim: Victim, seed: int) -> str:
        """What the cache knows a block's examples by."""
        data, index = self.crafter.data, slice(block.start, block.stop)
        where = (self.crafter.identity, data.images[index], data.labels[index], data.num_classes, block.start)
        how = (self.crafter.budget, self.budget, attack.name, seed)
        if not attack.adaptive:
            return fingerprint(*where, *how)
        known = self.draws if attack.recipe and attack.recipe.known else 0
        return fingerprint(*where, *how, victim.defence, victim.parameters, victim.mixed, known)
