"""Runs a spec: adversarial examples on each network, or on each defence of it, and every defence's answers to them."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from counteract._network import folded
from counteract.datasets import Dataset, load_dataset
from counteract.defended import DefendedModule
from counteract.evaluation.attacks import Attack, Crafter, attack_cost, defence_keys, example_keys
from counteract.evaluation.batches import batches
from counteract.evaluation.cache import ExampleCache
from counteract.evaluation.crafting import SuiteCrafter, Victim, draws_differ
from counteract.evaluation.defences import NONE, Ingredients, build_defence, forward_equivalents
from counteract.evaluation.environment import describe_environment
from counteract.evaluation.fingerprint import network_fingerprint
from counteract.evaluation.illustrate import illustrate
from counteract.evaluation.inputs import load_networks, load_pool
from counteract.evaluation.parameters import DefenceParameters
from counteract.evaluation.plan import Task, check_names, plan
from counteract.evaluation.record import Entry, Record, Run, pack
from counteract.evaluation.shard import Shard
from counteract.evaluation.spec import EvaluationSpec


class Watcher(Protocol):
    """Whoever is told how far a run has come."""

    def begin(self, model: str, work: int) -> None:
        """A network's evaluation begins; it takes `work` forward-equivalents."""

    def advance(self, work: int) -> None:
        """So many of them are done."""

    def warn(self, message: str) -> None:
        """Something went wrong that does not stop the run."""


@dataclass(frozen=True)
class _Means:
    """What every network is evaluated with: this process's shard, the data on its device, where examples are kept."""

    shard: Shard
    data: Dataset
    pool: Callable[[], Dataset]
    cache: ExampleCache
    batch_size: int
    watcher: Watcher


class _Subject:
    """A network that is being evaluated, and this process's part of the examples."""

    def __init__(self, network: nn.Module, spec: EvaluationSpec, means: _Means) -> None:
        fast = folded(network).to(means.shard.device).to(memory_format=torch.channels_last)
        self.crafter = Crafter(
            fast,
            network_fingerprint(network),
            means.data,
            spec.attack,
            means.cache,
            means.batch_size,
            means.watcher.advance,
        )
        self.suite = SuiteCrafter(self.crafter, spec.budget, spec.draws)
        self.draws = spec.draws
        self.shard = means.shard
        self.blocks = self.shard.blocks(len(means.data))
        rows = [row for block in self.blocks for row in block]
        self.index = torch.tensor(rows, dtype=torch.int64, device=self.shard.device)
        self._pool = means.pool
        self.defended = functools.cache(self._defended)
        self._random = functools.cache(functools.partial(draws_differ, images=means.data.images))

    def _defended(self, defence: str, parameters: DefenceParameters) -> DefendedModule:
        """The network with a defence, made once."""
        return build_defence(defence, Ingredients(self.crafter.network, parameters, self._pool))

    @functools.cached_property
    def plain_seconds(self) -> float:
        """What the bare network takes for these examples, by the middle of three measurements on a batch of them."""
        few = self.crafter.data.images[self.index[: self.crafter.batch_size]]
        with torch.no_grad():
            self.crafter.network(few)
            times = [_timed(lambda: self.crafter.network(few))[1] for _ in range(3)]
        return statistics.median(times) / max(1, len(few)) * len(self.index)

    def victim(self, task: Task) -> Victim:
        """What a task's attack is made on: the network with the defence, or for those that ignore it without."""
        defence = task.defence if task.attack.adaptive else NONE
        defended = self.defended(defence, task.parameters)
        return Victim(defended, defence, task.parameters, task.mixed, self._random(defended))

    def examples(self, tasks: Sequence[Task]) -> Callable[[Task], Tensor]:
        """The adversarial examples of some tasks with one seed: made once a defence where the attack knows it."""
        seed = tasks[0].place.seed
        made = self.crafter.craft({task.attack for task in tasks if task.attack.recipe is None}, seed, self.blocks)

        def examples(task: Task) -> Tensor:
            name = task.attack.name
            if task.attack.adaptive:
                return self.suite.craft(task.attack, self.victim(task), seed, self.blocks)
            if name not in made:
                made[name] = self.suite.craft(task.attack, self.victim(task), seed, self.blocks)
            return made[name]

        return examples

    def predict(self, defended: DefendedModule, images: Tensor, keys: Tensor) -> Tensor:
        """The defended predictions by examples' keys, draw by draw and batch by batch: int64, shape (draws, N)."""
        work = forward_equivalents(defended)
        predicted = []
        for given in (defence_keys(keys, draw) for draw in range(self.draws)):
            labels = [images.new_empty(0, dtype=torch.int64)]
            for index, kept in batches(len(images), self.crafter.batch_size, images.device):
                labels.append(defended.classify(images[index], given[index])[0][:kept])
                self.crafter.advance(work * kept)
            predicted.append(torch.cat(labels))
        return torch.stack(predicted)

    def work(self, tasks: Sequence[Task]) -> int:
        """The forward-equivalents that some tasks take on this process."""
        runs: dict[tuple[int, bool], list[int]] = {}
        made: dict[tuple[int, Attack, str], int] = {}
        for task in tasks:
            seed, attack = task.place.seed, task.attack
            runs.setdefault((seed, attack.targeted), []).append(attack.steps)
            if attack.recipe is not None:
                own = task.place.defence if attack.adaptive else ""
                made[seed, attack, own] = self.suite.cost(attack, self.victim(task))
        defending = sum(forward_equivalents(self.defended(task.defence, task.parameters)) for task in tasks)
        attacking = sum(map(attack_cost, runs.values())) + sum(made.values())
        return (attacking + self.draws * defending) * len(self.index)


def evaluate(
    spec: EvaluationSpec,
    *,
    device: torch.device,
    batch_size: int,
    watcher: Watcher,
    data_dir: Path | None = None,
    model_dir: Path = Path("models"),
    trust: bool = False,
    cache: Path | None = None,
    folder: Path | None = None,
) -> Run:
    """Measures the accuracy of every defence against every attack, for every network of a spec.

    Oblivious attacks are made on the bare network, adaptive ones on the defended network. Accuracy is against the true
    label over all images, and the mean over the spec's draws of the defence, none of which the attacker has seen; only
    the attack `fixed` is told them.
    Started by torchrun or Fabric's launcher, processes share the examples among them and all return the whole run.

    Args:
        spec: What to measure.
        device: Where to compute; of several processes each takes a device of its own of this kind.
        batch_size: Images per batch; the results do not depend on it.
        watcher: Told of the progress of this process.
        data_dir: Where torchvision keeps its datasets.
        model_dir: Where RobustBench keeps its checkpoints.
        trust: Whether checkpoints may run code when they are read.
        cache: A folder where adversarial examples are kept from run to run.
        folder: Where to keep a record of finished cells: a run that was killed goes on from there.

    Raises:
        UserError: (a ValueError) a name in the spec is unknown, or what it names cannot be loaded or does not fit.
    """
    check_names(spec)
    shard = Shard.join(device)
    data = load_dataset(spec.dataset, "test", data_dir=data_dir).take(spec.limit)
    networks = load_networks(spec, data, model_dir=model_dir, trust=trust)
    pool = functools.cache(functools.partial(load_pool, spec, data_dir))
    tasks = plan(spec, data, networks, pool)
    environment = describe_environment(shard.device) | {"processes": shard.count}
    places = [task.place for task in tasks]
    record = Record(folder if shard.rank == 0 else None, spec, environment, data.class_names, places)
    record.entries |= shard.gather(record.entries)[0]
    means = _Means(shard, data.to(shard.device), pool, ExampleCache(cache, watcher.warn), batch_size, watcher)
    for position, (label, network) in enumerate(networks.items()):
        pending = [task for task in tasks if task.place.model == label and task.place.key not in record.entries]
        pictures = position == 0 and record.wants_illustrations
        if not (pending or pictures):
            continue
        subject = _Subject(network, spec, means)
        if pictures:
            record.illustrate(illustrate(spec, label, subject.crafter))
        if pending:
            watcher.begin(label, subject.work(pending))
        for seed in range(spec.seeds):
            _measure([task for task in pending if task.place.seed == seed], subject, record)
    return record.run()


def _measure(tasks: Sequence[Task], subject: _Subject, record: Record) -> None:
    """Measures cells of one network with one seed, and records each as soon as it is done."""
    if not tasks:
        return
    index, data = subject.index, subject.crafter.data
    examples, keys = subject.examples(tasks), example_keys(tasks[0].place.seed, subject.index)
    for task in tasks:
        defended = subject.defended(task.defence, task.parameters)
        images = examples(task)
        predicted, seconds = _timed(functools.partial(subject.predict, defended, images, keys))
        plain = subject.plain_seconds * subject.draws
        part = _Part(index.cpu(), (predicted == data.labels[index]).cpu(), seconds, plain)
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


@dataclass(frozen=True)
class _Part:
    """What one process measured of a cell: of which examples, which were correct draw by draw, and the times."""

    index: Tensor
    correct: Tensor
    seconds: float
    plain_seconds: float


def _timed(call: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """What a call returns, and how many seconds it took, the device's own work included."""
    start = time.perf_counter()
    result = call()
    if result.is_cuda:
        torch.cuda.synchronize(result.device)
    return result, time.perf_counter() - start
