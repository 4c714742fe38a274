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
from counteract.evaluation.shard import BLOCK

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
        once: Whether those of its parts that run once per input are among what does.
    """

    defended: DefendedModule
    defence: str
    parameters: DefenceParameters
    mixed: str
    random: bool
    once: bool


def randomness(defended: DefendedModule, images: Tensor) -> tuple[bool, bool]:
    """Whether a defence answers differently with other keys, on the first few images.

    Returns:
        Whether the whole of it does, and whether the parts do that run once per input.
    """
    few = images[:GRANULE]
    keys = torch.arange(len(few), device=few.device)
    with torch.no_grad():
        whole, once = (
            not torch.equal(answer(few, keys), answer(few, keys + len(few)))
            for answer in (defended, defended.preprocess)
        )
    return whole, once


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

    def craft(self, attack: Attack, victim: Victim, seed: int, rows: Tensor) -> Tensor:
        """The adversarial examples of one attack on one victim, for some of the data's indices: int64, shape (N,)."""
        parts = [self.crafter.data.images[:0]]
        cost = self.cost(attack, victim)
        for several in self.crafter.batched(rows.split(BLOCK) if len(rows) else ()):
            parts.append(self._blocks(several, attack, victim, seed))
            self.crafter.advance(cost * sum(map(len, several)))
        return torch.cat(parts)

    def cost(self, attack: Attack, victim: Victim) -> int:
        """Forward-equivalents an image, as if everything that the attack asks for cost what the defence does."""
        classes = self.crafter.data.num_classes
        calls = attack_calls(attack.name, self.budget, random=victim.random, once=victim.once, classes=classes)
        return calls * (forward_equivalents(victim.defended) if attack.adaptive else 1)

    def _blocks(self, blocks: Sequence[Tensor], attack: Attack, victim: Victim, seed: int) -> Tensor:
        """The examples of several blocks: those that the cache lacks are made, and stored."""
        cache, device = self.crafter.cache, self.crafter.data.images.device
        keys = [self._key(block, attack, victim, seed) for block in blocks]
        found = {key: cache.load(key) for key in keys}
        missing = {key: block for key, block in zip(keys, blocks, strict=True) if found[key] is None}
        if missing:
            made = self._attack(torch.cat([*missing.values()]), attack, victim, seed)
            for key, part in zip(missing, made.split([*map(len, missing.values())]), strict=True):
                cache.store(key, part)
                found[key] = part
        return torch.cat([images.to(device) for images in found.values() if images is not None])

    def _attack(self, rows: Tensor, attack: Attack, victim: Victim, seed: int) -> Tensor:
        """Attacks the images of some indices, one batch after the other."""
        data, bounds = self.crafter.data, self.crafter.budget
        where = (bounds.eps, bounds.eps_step)
        target = Target(self.crafter.network, victim.defended, victim.random, *where, victim.once)
        examples = example_keys(seed, rows)
        keys = _random.fold(attack_keys(examples), _SUITE)
        judging = torch.stack([defence_keys(examples, draw) for draw in range(self.draws)], dim=1)

        def attacked(index: Tensor) -> Tensor:
            images, labels = data.images[rows[index]], data.labels[rows[index]]
            return run_attack(attack.name, target, images, labels, keys[index], self.budget, judging[index])

        return torch.cat([found[:kept] for found, kept in in_batches(attacked, len(rows), self.crafter.batch_size)])

    def _key(self, block: Tensor, attack: Attack, victim: Victim, seed: int) -> str:
        """What the cache knows a block's examples by."""
        data = self.crafter.data
        where = (self.crafter.identity, data.images[block], data.labels[block], data.num_classes, block)
        how = (self.crafter.budget, self.budget, attack.name, seed)
        if not attack.adaptive:
            return fingerprint(*where, *how)
        known = self.draws if attack.recipe and attack.recipe.known else 0
        return fingerprint(*where, *how, victim.defence, victim.parameters, victim.mixed, known)
