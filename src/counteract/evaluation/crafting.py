"""The crafter: adversarial examples of a block, made once for what they are made on, or found in the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from counteract._answers import NO_LABEL, labels_of
from counteract._batches import BatchSize, batches
from counteract._network import ask, borrowed
from counteract._untouched import as_it_was
from counteract.attacks.base import CLEAN, Attack
from counteract.attacks.keys import attack_keys, defence_keys, example_keys
from counteract.attacks.libraries import heard
from counteract.attacks.meter import metered
from counteract.attacks.pgd import Path
from counteract.attacks.straight import StraightThrough
from counteract.attacks.victim import Victim
from counteract.evaluation.blocks import Sample, rows_of
from counteract.evaluation.cache import ExampleCache, Made
from counteract.evaluation.judged import Judged
from counteract.evaluation.plan import examples_key
from counteract.evaluation.probe import ProbeStore
from counteract.evaluation.spec import EvaluationSpec
from counteract.evaluation.subject import Subject
from counteract.whole import WholeModule


@dataclass(frozen=True)
class Crafter:
    """Maker of adversarial examples for one network.

    Attributes:
        subject: The network.
        spec: The spec.
        cache: The folder where examples are found and left.
        probes: The answers of networks that the cache's entries belong to.
        batch_size: The number of images in a batch; it does not change the result.
    """

    subject: Subject
    spec: EvaluationSpec
    cache: ExampleCache
    probes: ProbeStore
    batch_size: BatchSize

    def on_path(
        self, path: Path, attacks: Iterable[Attack], seed: int, sample: Sample, rows: Tensor
    ) -> dict[str, Made]:
        """Returns the examples of some rows of attacks that are snapshots of one run of PGD, by their names."""
        attacks = list(attacks)
        if len(rows) == 0:
            return {attack.name: Made(sample.images[rows], 0.0) for attack in attacks}
        keys = {attack.name: self._key(attack, None, seed, sample, rows) for attack in attacks}
        found = {name: self.cache.load(key) for name, key in keys.items()}
        if any(each is None for each in found.values()):
            made = self._run_path(path, sorted({attack.steps for attack in attacks}), seed, sample, rows)
            for attack in attacks:
                if found[attack.name] is None:
                    found[attack.name] = made[attack.steps]
                    self.cache.store(keys[attack.name], made[attack.steps])
        return {name: _on(sample, each) for name, each in found.items() if each is not None}

    def craft(self, attack: Attack, judged: Judged, seed: int, sample: Sample, rows: Tensor) -> Made:
        """Returns the examples of one attack for some rows of a block: int64 positions, shape (N,).

        Those of somebody else's attack may lie outside of the threat model.

        Args:
            attack: The attack.
            judged: The network with the defence, which an oblivious attack does not look at.
            seed: The seed.
            sample: The block.
            rows: The positions in it.

        Raises:
            AttackError: somebody else's attack fails.
        """
        if attack.path is not None:
            return self.on_path(attack.path, [attack], seed, sample, rows)[attack.name]
        if len(rows) == 0 or attack.name == CLEAN:
            return Made(rows_of(sample.images, rows), 0.0)
        through = judged if attack.adaptive else None
        key = self._key(attack, through, seed, sample, rows)
        found = self.cache.load(key)
        if found is None:
            found = self._run(attack, through, seed, sample, rows)
            self.cache.store(key, found)
        return _on(sample, found)

    def victim(self, through: Judged | None) -> Victim:
        """Returns the victim of an attack through a defence; None stands for an oblivious attack, which knows none."""
        judged = self.subject.undefended if through is None else through
        random, once = (False, False) if through is None else through.random
        inside = None if through is None else through.inside
        unkeyed = self.subject.is_unkeyed(judged)
        return Victim(
            undefended=self.subject.attackable if inside is None else inside,
            defended=judged.attacked,
            random=random or unkeyed,
            once=once or unkeyed,
            threat_model=self.spec.threat_model,
            eps_step=self.spec.step,
            num_classes=self.subject.survey.classes,
        )

    def _run(self, attack: Attack, through: Judged | None, seed: int, sample: Sample, rows: Tensor) -> Made:
        """Attacks some rows of a block, one batch after the other."""
        rows = rows.to(sample.images.device)
        victim, examples = self.victim(through), example_keys(seed, sample.index[rows])
        keys = attack_keys(examples)
        judging = torch.stack([defence_keys(examples, draw) for draw in range(self.spec.draws)], dim=1)

        def attacked(index: Tensor) -> Tensor:
            at = rows[index]
            known = judging[index] if attack.known else None
            images, labels = sample.images[at], sample.labels[at]
            return attack.run(victim, images, labels, keys[index], self.spec.preset, known)

        where = (seed, sample.block.start, number_of(attack.name))
        unkeyed = attack.unkeyed or self.subject.is_unkeyed(through or self.subject.undefended)
        kept = as_it_was(self.subject.module) if attack.unkeyed else nullcontext()
        with kept:
            with metered(*_asked(victim, self.subject.original)) as meter, heard() as said:
                parts = list(batches(attacked, len(rows), self.batch_size, where if unkeyed else None))
            if attack.unkeyed:
                self.subject.check_unchanged(f"attack {attack.name}")
        # Our own attacks ask about the padding, too.
        share = 1.0 if attack.unkeyed else len(rows) / sum(len(found) for found, _ in parts)
        passes = meter.passes * share
        return Made(torch.cat([found[:kept] for found, kept in parts]), passes, "\n".join(said))

    def _run_path(self, path: Path, steps: list[int], seed: int, sample: Sample, rows: Tensor) -> dict[int, Made]:
        """Runs PGD on some rows once, with snapshots after some numbers of steps; each costs what its own run would."""
        rows = rows.to(sample.images.device)
        victim, keys = self.victim(None), attack_keys(example_keys(seed, sample.index[rows]))

        def snapshots(index: Tensor) -> dict[int, Tensor]:
            images = sample.images[rows[index]]
            labels = self._labels(images, sample.labels[rows[index]], targeted=path.targeted)
            return path.run(victim, images, labels, keys[index], steps)

        made: dict[int, list[Tensor]] = {count: [] for count in steps}
        where = (seed, sample.block.start, number_of(f"pgd {path.targeted}"))
        unkeyed = self.subject.survey.unkeyed
        for found, kept in batches(snapshots, len(rows), self.batch_size, where if unkeyed else None):
            for count, images in found.items():
                made[count].append(images[:kept])
        first = 0 if path.targeted or self.spec.attack_label == "true" else 1
        cost = {count: len(rows) * float(first + 2 * count) for count in steps}
        return {count: Made(torch.cat(parts), cost[count]) for count, parts in made.items()}

    def _labels(self, images: Tensor, true: Tensor, *, targeted: bool) -> Tensor:
        """Returns the labels that PGD is told: of a targeted one the true ones, from which it draws others.

        A predicted label is the true one where the network's answer is not finite.
        """
        if targeted or self.spec.attack_label == "true":
            return true
        with borrowed(self.subject.module), torch.no_grad():
            predicted = labels_of(ask(self.subject.module, images))
            return predicted.where(predicted != NO_LABEL, true)

    def _key(self, attack: Attack, through: Judged | None, seed: int, sample: Sample, rows: Tensor) -> str:
        return examples_key(self.spec, self.subject, through, attack, seed, sample.block, rows.cpu(), self.probes)


def _on(sample: Sample, made: Made) -> Made:
    """Returns examples on the device of a block."""
    return replace(made, images=made.images.to(sample.images.device))


def _asked(victim: Victim, original: nn.Module) -> list[nn.Module]:
    """Returns the networks whose passes are an attack's cost: the undefended one, and a whole module without it.

    Args:
        victim: The network that is attacked.
        original: The undefended network as strangers' modules have it in them.
    """
    undefended = victim.undefended.network if isinstance(victim.undefended, StraightThrough) else victim.undefended
    if not isinstance(victim.defended, WholeModule):
        return [undefended]
    inside = [each for each in victim.defended.modules() if each is undefended or each is original]
    return [undefended, *(each for each in inside or [victim.defended.answers] if each is not undefended)]


def number_of(name: str) -> int:
    """Returns a number for a name, the same in every process."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")
