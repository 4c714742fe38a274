"""A network under evaluation: its defences, its adversarial examples and its answers, in one process."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from counteract._network import folded
from counteract._precision import Precision, in_precision
from counteract.datasets import Dataset
from counteract.defended import DefendedModule
from counteract.evaluation.attacks import Attack, Crafter, attack_cost, defence_keys
from counteract.evaluation.batches import BatchSize, in_batches
from counteract.evaluation.cache import ExampleCache
from counteract.evaluation.crafting import SuiteCrafter, Victim, randomness
from counteract.evaluation.defences import NONE, Ingredients, build_defence, forward_equivalents
from counteract.evaluation.fingerprint import network_fingerprint
from counteract.evaluation.parameters import DefenceParameters
from counteract.evaluation.plan import Task
from counteract.evaluation.shard import Shard
from counteract.evaluation.spec import EvaluationSpec


@dataclass(frozen=True)
class Surroundings:
    """What every network of a run is evaluated with.

    Attributes:
        shard: This process's part of the examples.
        data: All images and true labels, on this process's device.
        pool: The images that mixup inference mixes with.
        cache: Where adversarial examples are found and left.
        batch_size: How many images go into a batch.
        advance: Told of the forward-equivalents done.
    """

    shard: Shard
    data: Dataset
    pool: Callable[[], Dataset]
    cache: ExampleCache
    batch_size: BatchSize
    advance: Callable[[int], None]


class Subject:
    """A network that is being evaluated, and this process's part of the examples."""

    def __init__(self, network: nn.Module, spec: EvaluationSpec, around: Surroundings) -> None:
        self.crafter = Crafter(
            ready(network, around.shard.device),
            network_fingerprint(network),
            around.data,
            spec.attack,
            around.cache,
            around.batch_size,
            around.advance,
        )
        self.suite = SuiteCrafter(self.crafter, spec.budget, spec.draws)
        self.draws, self.error = spec.draws, spec.error
        self.shard = around.shard
        self.blocks = self.shard.blocks(len(around.data))
        rows = [row for block in self.blocks for row in block]
        self.index = torch.tensor(rows, dtype=torch.int64, device=self.shard.device)
        self._pool = around.pool
        self.defended = functools.cache(functools.partial(self._defended, precision=spec.precision))
        self.attacked = functools.cache(functools.partial(self._defended, precision=spec.budget.precision))
        self._randomness = functools.cache(functools.partial(randomness, images=around.data.images))

    def _defended(self, defence: str, parameters: DefenceParameters, precision: Precision) -> DefendedModule:
        """The network with a defence, made once for those who use it and once for those who attack it."""
        network = in_precision(self.crafter.network, precision)
        return build_defence(defence, Ingredients(network, parameters, self._pool))

    @functools.cached_property
    def plain_seconds(self) -> float:
        """What the bare network takes for these examples, by the middle of three measurements on a batch of them."""
        few = self.crafter.data.images[self.index[: self.crafter.batch_size.rows]]
        with torch.no_grad():
            self.crafter.network(few)
            times = [timed(lambda: self.crafter.network(few))[1] for _ in range(3)]
        return statistics.median(times) / max(1, len(few)) * len(self.index)

    def victim(self, task: Task) -> Victim:
        """What a task's attack is made on: the network with the defence, or for those that ignore it without."""
        defence = task.defence if task.attack.adaptive else NONE
        attacked = self.attacked(defence, task.parameters)
        return Victim(attacked, defence, task.parameters, task.mixed, *self._randomness(attacked))

    def examples(self, tasks: Sequence[Task]) -> Callable[[Task, Tensor], Tensor]:
        """The adversarial examples of some tasks with one seed, for some of this process's examples, given as a mask.

        They are made once a defence where the attack knows it, for these alone; and else once for all examples.
        """
        seed = tasks[0].place.seed
        made = self.crafter.craft({task.attack for task in tasks if task.attack.recipe is None}, seed, self.blocks)

        def examples(task: Task, mine: Tensor) -> Tensor:
            name = task.attack.name
            if task.attack.adaptive:
                return self.suite.craft(task.attack, self.victim(task), seed, self.index[mine])
            if name not in made:
                made[name] = self.suite.craft(task.attack, self.victim(task), seed, self.index)
            return made[name][mine]

        return examples

    def predict(self, defended: DefendedModule, images: Tensor, keys: Tensor) -> Tensor:
        """The defended predictions by examples' keys, draw by draw and batch by batch: int64, shape (draws, N).

        Of a defence that draws nothing there is a single draw, whatever the spec says.
        """
        work = forward_equivalents(defended)
        predicted = []
        for given in (defence_keys(keys, draw) for draw in range(self._judging(defended))):
            labels = [images.new_empty(0, dtype=torch.int64)]
            classify = functools.partial(_classify, defended, images, given, self.error)
            for found, kept in in_batches(classify, len(images), self.crafter.batch_size):
                labels.append(found[:kept])
                self.crafter.advance(work * kept)
            predicted.append(torch.cat(labels))
        return torch.stack(predicted)

    def skip(self, task: Task, count: int) -> None:
        """Passes over some examples of a task, as far as they are work of its own."""
        attacking = self.suite.cost(task.attack, self.victim(task)) if task.attack.adaptive else 0
        self.crafter.advance(count * (attacking + self._defending(task)))

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
        attacking = sum(map(attack_cost, runs.values())) + sum(made.values())
        return (attacking + sum(map(self._defending, tasks))) * len(self.index)

    def _defending(self, task: Task) -> int:
        """The forward-equivalents that judging one example of a task takes."""
        defended = self.defended(task.defence, task.parameters)
        return self._judging(defended) * forward_equivalents(defended)

    def _judging(self, defended: DefendedModule) -> int:
        """By how many draws a defence is judged."""
        return self.draws if self.draws > 1 and self._randomness(defended)[0] else 1


def ready(network: nn.Module, device: torch.device) -> nn.Module:
    """A network as it is computed with: on its device, in the fastest form that it offers."""
    return folded(network).to(device).to(memory_format=torch.channels_last)


def _classify(defended: DefendedModule, images: Tensor, keys: Tensor, error: float, index: Tensor) -> Tensor:
    return defended.classify(images[index], keys[index], error=error)[0]


def timed(call: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """What a call returns, and how many seconds it took, the device's own work included."""
    start = time.perf_counter()
    result = call()
    if result.is_cuda:
        torch.cuda.synchronize(result.device)
    return result, time.perf_counter() - start
