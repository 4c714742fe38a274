"""The plan of a run: its cells, and the keys under which finished work is found. Every key is made here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from counteract.attacks.base import CLEAN, Attack, obstacle
from counteract.attacks.norms import Name
from counteract.attacks.registry import find_attack
from counteract.defences import find_defence, parse_defence
from counteract.evaluation.blocks import Block
from counteract.evaluation.identity import Part, fingerprint, object_key, sources_of
from counteract.evaluation.inputs import Inputs
from counteract.evaluation.judged import Judged
from counteract.evaluation.probe import ProbeStore
from counteract.evaluation.spec import EvaluationSpec
from counteract.evaluation.subject import Subject
from counteract.models.survey import probe_images

ENOUGH = 20
"""The draws in which an example must be wrong, so that a cascade gives it up for a random defence."""


@dataclass(frozen=True)
class Place:
    """A place in a run's tables, for one seed.

    Attributes:
        model: The network's label.
        attack: The attack's name.
        defence: The defence as the tables name it.
        seed: The seed.
        key: A hash of everything that the cell's results depend on, but for the examples.
    """

    model: str
    attack: str
    defence: str
    seed: int
    key: str


@dataclass(frozen=True)
class Task:
    """One cell of a table with one seed.

    Attributes:
        place: The place of its result.
        attack: The attack.
        judged: The network with the defence.
        after: The keys of the cells that come before it in a cascade: what one of them broke in every draw is done.
    """

    place: Place
    attack: Attack
    judged: Judged
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Everything that a run measures.

    Attributes:
        tasks: The cells, in the order in which they are measured.
        obstacles: By network's label, attack and defence the reason why a cell cannot be measured.
    """

    tasks: list[Task]
    obstacles: dict[tuple[str, str, str], str]

    def at(self, places: Sequence[Place]) -> Plan:
        """Returns the same plan with another process's places, whose keys are those that count."""
        known = {task.place.key: place.key for task, place in zip(self.tasks, places, strict=True)}
        tasks = [
            replace(task, place=place, after=tuple(known[key] for key in task.after))
            for task, place in zip(self.tasks, places, strict=True)
        ]
        return Plan(tasks, self.obstacles)


def check_names(spec: EvaluationSpec, inputs: Inputs | None = None) -> None:
    """Makes sure that a spec's attacks and defences are known.

    Raises:
        UserError: (a ValueError) one is not.
    """
    in_hand: Mapping[str, object] = inputs.defences if inputs else {}
    for label, name in spec.defences.items():
        if label not in in_hand:
            for call in parse_defence(name):
                find_defence(call.name)
    for name in spec.attacks:
        find_attack(name)


def make_plan(
    spec: EvaluationSpec,
    subjects: Sequence[Subject],
    store: ProbeStore,
    left_out: Mapping[tuple[str, str], str] | None = None,
) -> Plan:
    """Returns every cell of a spec's tables with every seed, and the obstacles to others.

    Args:
        spec: The spec.
        subjects: Its networks.
        store: The answers of strangers' networks.
        left_out: The reasons why some attacks are not made on some defences, by the names of both.

    Raises:
        UserError: (a ValueError) an attack cannot be made with its arguments.
    """
    tasks: list[Task] = []
    obstacles: dict[tuple[str, str, str], str] = {}
    for subject in subjects:
        for seed in range(spec.seeds):
            before: dict[str, tuple[str, ...]] = {}
            for attack in map(find_attack, spec.attacks):
                _check(attack, subject, spec)
                for variant in spec.variants():
                    judged = subject.judged(variant, targeted=attack.targeted)
                    reason = _obstacle(attack, subject, judged, spec.threat_model.norm)
                    reason = reason or (left_out or {}).get((attack.name, variant.name))
                    if reason is not None:
                        obstacles[subject.label, attack.name, variant.name] = reason
                        continue
                    after = () if attack.name in spec.alone else before.get(variant.name, ())
                    key = _cell_key(spec, subject, judged, attack, seed, after, store)
                    place = Place(subject.label, attack.name, variant.name, seed, key)
                    tasks.append(Task(place, attack, judged, after))
                    if spec.cascade:
                        before[variant.name] = (*before.get(variant.name, ()), key)
        subject.check_names()
    return Plan(tasks, obstacles)


def _check(attack: Attack, subject: Subject, spec: EvaluationSpec) -> None:
    """Makes sure that an attack can be made of a network with the arguments of its name."""
    images = probe_images(subject.shape).to(subject.device)
    attack.check(subject.attackable, spec.threat_model, subject.survey.classes, images)


def _obstacle(attack: Attack, subject: Subject, judged: Judged, norm: Name) -> str | None:
    found = subject.survey
    gradients = judged.gradients if attack.adaptive and (judged.stranger or judged.surrogate) else subject.has_gradients
    return obstacle(attack, num_classes=found.classes, gradients=gradients, defended=judged.defended, norm=norm)


def _cell_key(
    spec: EvaluationSpec,
    subject: Subject,
    judged: Judged,
    attack: Attack,
    seed: int,
    after: tuple[str, ...],
    store: ProbeStore,
) -> str:
    """Returns the key of a cell: network, defence, attack, seed and the judging draws."""
    enough = (ENOUGH,) if subject.draws_anew(judged) else ()
    judging: tuple[Part, ...] = (judged.identity(store), spec.precision, subject.draws(judged), seed, *enough, *after)
    of_attack = (subject.surrogate_identity(store), *_over(subject, judged), *_attack_parts(spec, attack), spec.pixels)
    return fingerprint("cell", subject.identity(store), *judging, *of_attack)


def unit_key(cell: str, block: Block, environment: Mapping[str, str | int] | None = None) -> str:
    """Returns the key of a cell's result for one block, under which the journal has it.

    Args:
        cell: The key of the cell.
        block: The block.
        environment: The conditions in which the run was made, by default today's.
    """
    return fingerprint("unit", cell, block.start, block.digest, environment=environment)


def examples_key(
    spec: EvaluationSpec,
    subject: Subject,
    judged: Judged | None,
    attack: Attack,
    seed: int,
    block: Block,
    rows: torch.Tensor,
    store: ProbeStore,
) -> str:
    """Returns the key of adversarial examples, under which the cache has them.

    Args:
        spec: The spec.
        subject: The network.
        judged: The network with the defence that an adaptive attack was made through; None for an oblivious one.
        attack: The attack.
        seed: The seed.
        block: The block.
        rows: The attacked examples, as positions in the block, int64.
        store: The probes of the cache's folder.
    """
    through = () if judged is None else (judged.identity(store), spec.preset.precision)
    known = (spec.draws,) if attack.known else ()
    networks = (subject.identity(store), subject.surrogate_identity(store), *_over(subject, judged))
    where = (*networks, subject.survey.classes, seed, block.start, block.digest, rows)
    return fingerprint("made", *where, *through, *known, *_attack_parts(spec, attack))


def _over(subject: Subject, judged: Judged | None) -> tuple[Part, ...]:
    """Returns the part of a key that modules are which attacks take for the identity; none where there are none."""
    found = (subject.over, () if judged is None else judged.over)
    return (repr(found),) if any(found) else ()


def _attack_parts(spec: EvaluationSpec, attack: Attack) -> tuple[Part, ...]:
    """Returns the parts of a key that an attack's own work depends on."""
    if attack.name == CLEAN:
        return (CLEAN,)
    effort: tuple[Part, ...] = (spec.preset,) if attack.preset else ()
    if attack.origin is not None:
        precision = spec.preset.precision if attack.adaptive else "float32"
        effort = (*effort, object_key(attack.origin), *sources_of(attack.origin), precision)
    return (attack.name, spec.threat_model, spec.step, spec.attack_label, *effort)
