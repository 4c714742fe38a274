"""Runs a spec: adversarial examples on each network, or on each defence of it, and every defence's answers to them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from counteract._files import sole_writer
from counteract.evaluation.attacks import example_keys
from counteract.evaluation.batches import BatchSize
from counteract.evaluation.cache import ExampleCache
from counteract.evaluation.defences import forward_equivalents
from counteract.evaluation.environment import describe_environment
from counteract.evaluation.illustrate import illustrate
from counteract.evaluation.inputs import Inputs, load_inputs
from counteract.evaluation.means import Means
from counteract.evaluation.plan import Task, check_names, plan
from counteract.evaluation.record import Entry, Record, Run, pack
from counteract.evaluation.shard import Shard
from counteract.evaluation.spec import EvaluationSpec
from counteract.evaluation.subject import Subject, Surroundings, timed


def evaluate(spec: EvaluationSpec, means: Means | None = None, *, inputs: Inputs | None = None) -> Run:
    """Measures the accuracy of every defence against every attack, for every network of a spec.

    Oblivious attacks are made on the bare network, adaptive ones on the defended network. Accuracy is against the true
    label over all images, and the mean over the spec's draws of the defence, none of which the attacker has seen; only
    the attack `fixed` is told them.
    Started by torchrun or Fabric's launcher, processes share the examples among them and all return the whole run.

    Args:
        spec: What to measure.
        means: How to carry it out; the results do not depend on it.
        inputs: What the spec names, if it is loaded already.

    Raises:
        UserError: (a ValueError) a name in the spec is unknown, or what it names cannot be loaded or does not fit; or
            another process writes to the same folder.
    """
    check_names(spec)
    means = means or Means()
    shard = Shard.join(means.device)
    folder = means.folder if shard.rank == 0 else None
    with sole_writer(folder) if folder else nullcontext():
        inputs = inputs or load_inputs(spec, means)
        tasks = plan(spec, inputs)
        environment = describe_environment(shard.device) | {"processes": shard.count}
        record = Record(folder, spec, environment, inputs.data.class_names, [task.place for task in tasks])
        record.entries |= shard.gather(record.entries)[0]
        _run(spec, tasks, inputs, means, shard, record)
    return record.run()


def _run(
    spec: EvaluationSpec, tasks: Sequence[Task], inputs: Inputs, means: Means, shard: Shard, record: Record
) -> None:
    """Measures what the record lacks, network by network and seed by seed."""
    size = BatchSize(means.batch_size, shard.device, means.watcher.warn)
    cache, watcher = ExampleCache(means.cache, means.watcher.warn), means.watcher
    around = Surroundings(shard, inputs.data.to(shard.device), inputs.pool, cache, size, watcher.advance)
    for position, (label, network) in enumerate(inputs.networks.items()):
        pending = [task for task in tasks if task.place.model == label and task.place.key not in record.entries]
        pictures = position == 0 and record.wants_illustrations
        if not (pending or pictures):
            continue
        subject = Subject(network, spec, around)
        if pictures:
            record.illustrate(illustrate(spec, label, subject.crafter))
        if pending:
            watcher.begin(label, subject.work(pending))
        for seed in range(spec.seeds):
            _measure([task for task in pending if task.place.seed == seed], subject, record)


def _measure(tasks: Sequence[Task], subject: Subject, record: Record) -> None:
    """Measures cells of one network with one seed, and records each as soon as it is done."""
    if not tasks:
        return
    index, data = subject.index, subject.crafter.data
    examples, keys = subject.examples(tasks), example_keys(tasks[0].place.seed, subject.index)
    for task in tasks:
        defended = subject.defended(task.defence, task.parameters)
        mine = remaining(task, record.entries, len(data)).to(index.device)[index]
        subject.skip(task, int((~mine).sum()))
        images = examples(task, mine)
        predicted, seconds = timed(functools.partial(subject.predict, defended, images, keys[mine]))
        correct = torch.zeros(subject.draws, len(index), dtype=torch.bool)
        correct[:, mine.cpu()] = (predicted == data.labels[index[mine]]).cpu()
        plain = subject.plain_seconds * len(predicted) * int(mine.sum()) / max(1, len(mine))
        part = _Part(index.cpu(), correct, seconds, plain)
        parts = subject.shard.gather(part)
        order = torch.cat([part.index for part in parts]).argsort()
        record.add(
            Entry(
                key=task.place.key,
                executions=defended.executions,
                work=forward_equivalents(defended),
                seconds=max(part.seconds for part in parts),
                plain_seconds=max(part.plain_seconds for part in parts),
                n=len(order),
                correct=pack(torch.cat([part.correct for part in parts], dim=1)[:, order]),
                draws=subject.draws,
            )
        )


def remaining(task: Task, entries: Mapping[str, Entry], count: int) -> Tensor:
    """Which of `count` examples a task is about: in a cascade those that each cell before left right in some draw."""
    left = torch.ones(count, dtype=torch.bool)
    for key in task.after:
        left &= entries[key].hits() > 0
    return left


@dataclass(frozen=True)
class _Part:
    """What one process measured of a cell: of which examples, which were correct draw by draw, and the times."""

    index: Tensor
    correct: Tensor
    seconds: float
    plain_seconds: float
