"""Runs made up for the tests of the reports: which examples are right is said cell by cell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from counteract.evaluation.record import Entry, Illustrations, Place, Record, Run, pack
from counteract.evaluation.spec import make_spec

ENVIRONMENT: dict[str, str | int] = {"python": "3.12.1", "torch": "2.11.0", "cores": 2}
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

Correct = Callable[[str, str, str, int], "Tensor | list[int] | None"]
"""Which examples are right for a network, defence, attack and seed, or draws by examples; None if not measured yet."""


def make_run(
    spec: dict[str, Any],
    correct: Correct,
    *,
    class_names: tuple[str, ...] = CLASSES,
    illustrations: Illustrations | None = None,
    folder: Path | None = None,
) -> Run:
    """A run, and its files in a folder, as an evaluation leaves them.

    A prediction costs as many forwards, and takes as many times as long, as the defence's name has letters.
    """
    made = make_spec(spec, "a test")
    places = [
        Place(model, attack, variant.name, seed, f"{model}/{attack}/{variant.name}/{seed}")
        for model in made.models
        for seed in range(made.seeds)
        for attack in made.attacks
        for variant in made.variants()
    ]
    record = Record(folder, made, ENVIRONMENT, class_names, places)
    for place in places:
        found = correct(place.model, place.defence, place.attack, place.seed)
        if found is not None:
            hits, cost = torch.as_tensor(found).bool(), len(place.defence)
            draws = 1 if hits.ndim == 1 else len(hits)
            record.add(Entry(place.key, 1, cost, 0.5 * cost, 0.5, hits.shape[-1], pack(hits), draws))
    if illustrations is not None:
        record.illustrate(illustrations)
    return record.run()


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
