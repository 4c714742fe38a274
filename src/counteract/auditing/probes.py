"""Probes: an attack again with more steps and wider bounds, and the gradients that it follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from counteract import _random
from counteract._batches import BatchSize, batches
from counteract._network import borrowed
from counteract.attacks import Attack, Objective, ThreatModel, attack_keys, defence_keys, example_keys
from counteract.attacks.losses import margin
from counteract.evaluation.blocks import Sample, read
from counteract.evaluation.cache import ExampleCache
from counteract.evaluation.crafting import Crafter, number_of
from counteract.evaluation.inputs import Inputs
from counteract.evaluation.judged import Judged
from counteract.evaluation.options import Watcher
from counteract.evaluation.probe import ProbeStore
from counteract.evaluation.spec import EvaluationSpec
from counteract.evaluation.subject import Subject

_STREAM = 3
"""The probes' stream of an attacker's keys; the suite has 2."""


@dataclass(frozen=True)
class Probes:
    """The outcomes of one attack with the bounds and steps of a run, and with others.

    Each outcome is, for each example, the share of the draws in which it is still right: float64, shape (N,).

    Attributes:
        attack: The attack's name.
        base: The outcome as the run has it.
        longer: That with twice the steps.
        wider: That with twice the eps.
        widest: That with an eps so wide that every image can become plain grey, of which any network makes one class.
        fall: The loss in the mean probability of the true class, which is a loss that has bounds, from `base` to
            `longer`: float64, shape (N,).
        flat: The number of images without a gradient: zeros alone, or not finite.
        grey: The share of the examples that are right where every image is plain grey: those of the class that grey is
            taken for.
    """

    attack: str
    base: Tensor
    longer: Tensor
    wider: Tensor
    widest: Tensor
    fall: Tensor
    flat: int
    grey: float = 0.0


@dataclass(frozen=True)
class Prober:
    """Attacker of one defended network, block by block and batch by batch.

    Attributes:
        subject: The network.
        judged: The network with the defence.
        inputs: The clean images and their true labels, among other things.
        spec: The run's bounds, preset and draws.
        batch_size: The number of images in a batch.
        watcher: Whoever is told of the progress.
    """

    subject: Subject
    judged: Judged
    inputs: Inputs
    spec: EvaluationSpec
    batch_size: BatchSize
    watcher: Watcher

    def probe(self, attack: Attack) -> Probes:
        """Makes every probe of one attack, and tells what each finds."""
        self.watcher.begin("probes", 5 * len(self.inputs.data))
        eps, preset = self.spec.threat_model.eps, self.spec.preset
        more = preset.model_copy(update={"steps": 2 * preset.steps})
        base, sure = self._outcome(attack, self.spec, "again, with draws of its own", sure=True)
        steps = self.spec.model_copy(update={"preset": more})
        longer, less_sure = self._outcome(attack, steps, "with twice the steps", sure=True)
        largest = self.spec.threat_model.metric.largest(self.inputs.data.image_shape)
        (wider,) = self._outcome(attack, self._within(min(largest, 2 * eps)), "with twice the eps")
        grey = max(eps, largest / 2)
        (widest,) = self._outcome(attack, self._within(grey), f"with an eps of {grey:g}")
        flat = self._flat_gradients()
        return Probes(attack.name, base, longer, wider, widest, sure - less_sure, flat, self._grey())

    def _within(self, eps: float) -> EvaluationSpec:
        """Returns the spec with another bound, and a step that is the same share of it."""
        threat = self.spec.threat_model
        step = self.spec.step * eps / threat.eps
        return self.spec.model_copy(update={"threat_model": ThreatModel(norm=threat.norm, eps=eps), "eps_step": step})

    def _outcome(self, attack: Attack, spec: EvaluationSpec, words: str, *, sure: bool = False) -> Tensor:
        """Returns what an attack leaves of each example: see `_judge`.

        Args:
            attack: The attack.
            spec: Its bounds and preset.
            words: A name for it, with which what is found is told.
            sure: True asks for the probability of the true class, too.
        """
        warn = self.watcher.warn
        crafter = Crafter(self.subject, spec, ExampleCache(None, warn), ProbeStore(None, warn), self.batch_size)
        victim, parts = crafter.victim(self.judged), []
        for sample in self.samples():
            keys = self.keys(sample)

            def attacked(index: Tensor, sample: Sample = sample, keys: Tensor = keys) -> Tensor:
                images, labels = sample.images[index], sample.labels[index]
                return attack.run(victim, images, labels, stream(keys[index]), spec.preset, None)

            made = [found[:kept] for found, kept in self.batches(attacked, sample, words)]
            parts.append(self._judge(torch.cat(made), sample, keys, sure=sure))
            self.watcher.advance(len(sample.block))
        found = torch.cat(parts, dim=1)
        self.watcher.tell(f"{attack.name} {words} leaves {100 * float(found[0].mean()):.1f}% of {self.judged.name}")
        return found

    def _judge(self, images: Tensor, sample: Sample, keys: Tensor, *, sure: bool) -> Tensor:
        """Returns a block's shares of right draws and if `sure` the true class's probabilities: float64, in rows."""
        defended, found = self.judged.defended, []
        for draw in range(self.subject.draws(self.judged)):

            def answer(index: Tensor, draw: int = draw) -> Tensor:
                given, labels = defence_keys(keys[index], draw), sample.labels[index]
                rows = [defended.classify(images[index], given)[0] == labels]
                with torch.no_grad():
                    if sure:  # of the true class there is nothing in an answer that is not finite
                        probability = defended(images[index], given).exp().nan_to_num(0)
                        rows.append(probability.gather(1, labels.unsqueeze(1))[:, 0])
                return torch.stack([row.double() for row in rows])

            parts = [part[:, :kept] for part, kept in self.batches(answer, sample, f"judging {draw}")]
            found.append(torch.cat(parts, dim=1))
        return torch.stack(found).mean(0).cpu()

    def _flat_gradients(self) -> int:
        """Returns the number of clean images at which the margin has no gradient."""
        count = 0
        for sample in self.samples():
            keys = self.keys(sample)

            def flat(index: Tensor, sample: Sample = sample, keys: Tensor = keys) -> Tensor:
                objective = Objective([self.judged.attacked], margin, sample.labels[index], stream(keys[index]))
                with borrowed(self.judged.attacked):
                    _, gradient = objective.gradient(sample.images[index], 0)
                return (gradient.nan_to_num(posinf=0, neginf=0) == 0).flatten(1).all(1)

            count += sum(int(found[:kept].sum()) for found, kept in self.batches(flat, sample, "gradients"))
            self.watcher.advance(len(sample.block))
        self.watcher.tell(f"{count} of {len(self.inputs.data)} images have no gradient through {self.judged.name}")
        return count

    def _grey(self) -> float:
        """Returns the share of right draws of images that are plain grey, as any may become in the widest bound."""
        plain = ((sample, torch.full_like(sample.images, 0.5)) for sample in self.samples())
        judged = [self._judge(grey, sample, self.keys(sample), sure=False) for sample, grey in plain]
        return float(torch.cat(judged, dim=1)[0].mean())

    def samples(self) -> Iterator[Sample]:
        """Returns the data block by block."""
        return (read(self.inputs.data, block, self.subject.device) for block in self.inputs.blocks)

    def keys(self, sample: Sample) -> Tensor:
        """Returns the keys of a block's examples."""
        return example_keys(0, sample.index)

    def batches(
        self, work: Callable[[Tensor], Tensor], sample: Sample, words: str, count: int | None = None
    ) -> Iterator[tuple[Tensor, int]]:
        """Does something with a block or its first examples; what draws from global generators has them seeded."""
        unkeyed = self.subject.is_unkeyed(self.judged)
        where = (_STREAM, sample.block.start, number_of(words)) if unkeyed else None
        return batches(work, len(sample.block) if count is None else count, self.batch_size, where)

    @property
    def random(self) -> bool:
        """True where the network draws."""
        return self.subject.is_random(self.judged)


def stream(keys: Tensor) -> Tensor:
    """Returns the tests' own stream of examples' keys."""
    return _random.fold(attack_keys(keys), _STREAM)
