"""Runs made up for the tests of the reports: which examples are right is said cell by cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from counteract.defences import describe_parameters
from counteract.evaluation.results import Illustrations, Run
from counteract.evaluation.scores import Cell
from counteract.evaluation.spec import make_spec

ENVIRONMENT: dict[str, str | int] = {"python": "3.12.1", "torch": "2.11.0", "cores": 2}
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

Correct = Callable[[str, str, str, int], "Tensor | list[int] | None"]
"""The answers that are right for a network, defence, attack and seed: examples, or draws by examples; None for none."""


def make_run(
    spec: dict[str, Any],
    correct: Correct,
    *,
    class_names: tuple[str, ...] = CLASSES,
    **fields: Any,
) -> Run:
    """A run as an evaluation makes it; `fields` are other fields of `Run`.

    A prediction costs as many forward passes, and takes as many times as long, as the defence's name has letters.
    """
    made = make_spec(spec, "a test")
    cells = []
    for model in made.models:
        for attack in made.attacks:
            for variant in made.variants():
                cost = len(variant.name)
                cell = Cell(model, attack, variant.name, 1, cost)
                for seed in range(made.seeds):
                    found = correct(model, variant.name, attack, seed)
                    if found is not None:
                        shares = torch.as_tensor(found).double()
                        cell.add(seed, shares if shares.ndim == 1 else shares.mean(0), 0.5 * cost, 0.5)
                cells.append(cell)
    sizes = [len(shares) for cell in cells for shares in cell.correct.values()]
    defences = {
        (model, variant.name, targeted): describe_parameters(
            variant.defence, made.parameters_for(model, None, targeted=targeted, variant=variant), (3, 32, 32)
        )
        for model in made.models
        for variant in made.variants()
        for targeted in (False, True)
    }
    fields = {"defences": defences, "examples": max(sizes, default=made.limit or 0)} | fields
    return Run(made, ENVIRONMENT, class_names, cells, **fields)


def make_illustrations(count: int = 2, classes: int = 10, labels: int = 9) -> Illustrations:
    """Examples to look at: noise, whose true class wins as perturbations are added."""
    random = torch.Generator().manual_seed(0)
    clean = torch.rand((count, 3, 8, 8), generator=random)
    true = torch.arange(count)
    steps = (clean[:, None] + 0.03 * torch.randn((count, labels + 1, 3, 8, 8), generator=random)).clamp(0, 1)
    logits = torch.zeros(count, labels + 1, classes)
    for k in range(count):
        logits[k, :, (k + 3) % classes] = 3.0
        logits[k, :, k] = torch.linspace(0, 5, labels + 1)
    return Illustrations(
        clean=clean,
        labels=true,
        order=torch.stack([torch.tensor([c for c in range(classes) if c != (k + 3) % classes])[:labels] for k in true]),
        steps=steps,
        clean_probabilities=(4.0 * torch.eye(classes)[true]).softmax(1),
        probabilities=logits.softmax(2),
    )
