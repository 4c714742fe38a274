"""Runs a spec: adversarial examples once for each network and seed, then every defence on all of them."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from counteract import _random
from counteract._errors import UserError
from counteract.datasets import Dataset, load_dataset
from counteract.defended import DefendedModule
from counteract.evaluation.attacks import attack_cost, attack_keys, craft, defence_keys, parse_attack
from counteract.evaluation.batches import batches
from counteract.evaluation.defences import Ingredients, build_defence, forward_equivalents, parse_defence
from counteract.evaluation.scores import Cell, Row, WorstCase, make_row, make_worst_cases
from counteract.evaluation.spec import EvaluationSpec
from counteract.models import check_network, is_factory, load_model


class Watcher(Protocol):
    """Whoever is told how far a run has come."""

    def begin(self, model: str, work: int) -> None:
        """A network's evaluation begins; it takes `work` forward-equivalents."""

    def advance(self, work: int) -> None:
        """So many of them are done."""


@dataclass(frozen=True)
class Evaluation:
    """What a run measured.

    Attributes:
        rows: One for each network, attack and defence.
        worst_cases: One for each network and defence: over all of the run's attacks, example by example.
    """

    rows: list[Row]
    worst_cases: list[WorstCase]


@dataclass(frozen=True)
class _Machine:
    """Where a run computes, and how many images at a time."""

    device: torch.device
    batch_size: int
    advance: Callable[[int], None]


def evaluate(
    spec: EvaluationSpec,
    *,
    device: torch.device,
    batch_size: int,
    watcher: Watcher,
    data_dir: Path | None = None,
    model_dir: Path = Path("models"),
    trust: bool = False,
) -> Evaluation:
    """Measures the accuracy of every defence against every attack, for every network of a spec.

    The attacks are oblivious: they are crafted on the bare network. Accuracy is against the true label over all images.

    Args:
        spec: What to measure.
        device: Where to compute.
        batch_size: Images per batch; up to round-off the results do not depend on it.
        watcher: Told of the progress.
        data_dir: Where torchvision keeps its datasets.
        model_dir: Where RobustBench keeps its checkpoints.
        trust: Whether checkpoints may run code when they are read.

    Raises:
        UserError: (a ValueError) a name in the spec is unknown, or what it names cannot be loaded or does not fit.
    """
    for name in spec.defences:
        parse_defence(name)
    for name in spec.attacks:
        parse_attack(name)
    data = load_dataset(spec.dataset, "test", data_dir=data_dir).take(spec.limit)
    networks = {name: _load_network(name, spec, data, model_dir=model_dir, trust=trust) for name in spec.models}
    pool = functools.cache(functools.partial(_load_pool, spec, data_dir))
    machine = _Machine(device, batch_size, watcher.advance)
    rows: list[Row] = []
    worst_cases: list[WorstCase] = []
    for name, network in networks.items():
        network = network.to(device).to(memory_format=torch.channels_last)
        ingredients = Ingredients(network, spec.parameters, pool)
        defences = {defence: build_defence(defence, ingredients) for defence in spec.defences}
        watcher.begin(name, _work(spec, defences) * len(data))
        cells = _measure(spec, network, defences, data, machine)
        rows += [make_row(spec.dataset, name, cell) for cell in cells]
        worst_cases += make_worst_cases(spec.dataset, name, cells)
    return Evaluation(rows, worst_cases)


def _measure(
    spec: EvaluationSpec, network: nn.Module, defences: dict[str, DefendedModule], data: Dataset, machine: _Machine
) -> list[Cell]:
    """Measures every attack against every defence of one network."""
    cells = {
        (attack, defence): Cell(attack, defence, defended.executions, forward_equivalents(defended))
        for attack in spec.attacks
        for defence, defended in defences.items()
    }
    on_device = Dataset(data.name, data.images.to(machine.device), data.labels.to(machine.device), data.class_names)
    for seed in range(spec.seeds):
        keys = _random.fold(_random.key(seed, machine.device), torch.arange(len(data), device=machine.device))
        examples = craft(
            network,
            on_device,
            [parse_attack(name) for name in spec.attacks],
            spec.attack,
            keys=attack_keys(keys),
            batch_size=machine.batch_size,
            advance=machine.advance,
        )
        for (attack, defence), cell in cells.items():
            start = time.perf_counter()
            predicted = _predict(defences[defence], examples[attack], defence_keys(keys), machine, cell.work)
            correct = predicted == on_device.labels
            cell.add(correct.cpu(), time.perf_counter() - start)
    return list(cells.values())


def _predict(defended: DefendedModule, images: Tensor, keys: Tensor, machine: _Machine, work: int) -> Tensor:
    """The defended predictions, batch by batch: int64, shape (N,)."""
    predicted = []
    with torch.no_grad():
        for index, kept in batches(len(images), machine.batch_size, machine.device):
            predicted.append(defended(images[index], keys[index]).argmax(1)[:kept])
            machine.advance(work * kept)
    return torch.cat(predicted)


def _work(spec: EvaluationSpec, defences: dict[str, DefendedModule]) -> int:
    """The forward-equivalents that an evaluation of one network takes for each image."""
    attacks = [parse_attack(name) for name in spec.attacks]
    crafting = sum(
        attack_cost(attack.steps for attack in attacks if attack.targeted == targeted) for targeted in (False, True)
    )
    defending = len(attacks) * sum(forward_equivalents(defended) for defended in defences.values())
    return spec.seeds * (crafting + defending)


def _load_pool(spec: EvaluationSpec, data_dir: Path | None) -> Dataset:
    """The images that mixup inference mixes with."""
    if spec.pool.endswith(".npz"):
        return load_dataset(spec.pool)
    if spec.pool == "test":
        return load_dataset(spec.dataset, "test", data_dir=data_dir)
    if spec.pool != "train":
        raise UserError(f"pool must be 'train', 'test' or a path ending in .npz, found {spec.pool!r}")
    if spec.dataset.endswith(".npz"):
        raise UserError(f"dataset {spec.dataset} has no training split for mixup-inference: name one with --pool FILE")
    return load_dataset(spec.dataset, "train", data_dir=data_dir)


def _load_network(name: str, spec: EvaluationSpec, data: Dataset, *, model_dir: Path, trust: bool) -> nn.Module:
    """A network, once it is known to map these images to as many logits as there are classes."""
    shape = data.images.shape[1:]
    if is_factory(name):
        own = spec.own_network
        network = load_model(
            name,
            weights=own.weights,
            mean=own.mean,
            std=own.std,
            trust=trust,
            input_shape=(shape[0], shape[1], shape[2]),
        )
    else:
        network = load_model(name, model_dir=model_dir, trust=trust)
    check_network(network, name, data.images[:2], data.num_classes)
    return network
