"""Runs made up for the tests of the reports: which examples are right is said cell by cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import torch
from torch import Tensor

from counteract.defences import describe_defence
from counteract.evaluation.cells import Cell
from counteract.evaluation.results import Illustrations, Run
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
        (model, variant.name, targeted): describe_defence(
            variant.defence, made.parameters_for(model, None, targeted=targeted, variant=variant), (3, 32, 32)
        )
        for model in made.models
        for variant in made.variants()
        for targeted in (False, True)
    }
    fields.setdefault("defences", defences)
    return Run(made, ENVIRONMENT, class_names, cells, max(sizes, default=made.limit or 0), **fields)


def make_illustrations(count: int = 2, classes: int = 10, labels: int = 9) -> dict[str, Illustrations]:
    """Examples of the first network of `TABLE` to look at: noise, whose true class gains from labels 5 and above."""
    random = torch.Generator().manual_seed(0)
    clean = torch.rand((count, 3, 8, 8), generator=random)
    true = torch.arange(count)
    noisy = [clean + 0.03 * torch.randn((count, 3, 8, 8), generator=random) for _ in range(labels + 2)]
    adversarial, *alone, counteracted = (image.clamp(0, 1) for image in noisy)
    logits = torch.zeros(count, labels + 2, classes)
    for k in range(count):
        logits[k, :, (k + 3) % classes] = 3.0
        logits[k, :, k] = torch.linspace(0, 5, labels + 2)
    odds = logits.softmax(2)
    gained = (torch.arange(labels) >= 5).expand(60, labels)
    shown = Illustrations(
        clean=clean,
        labels=true,
        adversarial=adversarial,
        order=torch.stack([torch.tensor([c for c in range(classes) if c != (k + 3) % classes])[:labels] for k in true]),
        alone=torch.stack(alone, dim=1),
        counteracted=counteracted,
        clean_probabilities=(4.0 * torch.eye(classes)[true]).softmax(1),
        adversarial_probabilities=odds[:, 0],
        alone_probabilities=odds[:, 1:-1],
        counteracted_probabilities=odds[:, -1],
        gained=gained,
        suppressed=torch.ones_like(gained),
    )
    return {"mixup": shown}


TABLE: dict[str, Any] = {
    "title": "Table 1: a test", "dataset": "any", "models": {"mixup": "x", "iat": "y"}, "illustrations": 2,
    "attacks": ["clean", "pgd10"], "defences": ["undefended", "crop-pad", "counteraction", "counteraction+crop-pad"],
}  # fmt: skip
SWEEP: dict[str, Any] = {
    "title": "Figure 2", "dataset": "any", "models": ["net"], "attacks": ["clean", "pgd10"],
    "defences": ["undefended", "counteraction"],
    "sweep": {"parameter": "eps_step", "values": ["1/255", "2/255", "8/255"]},
}  # fmt: skip


def make_page_run(spec: dict[str, Any] = TABLE, **options: Any) -> Run:
    """Every defence is right on all clean images, and on as many others as its name has letters."""
    return make_run(
        spec,
        lambda model, defence, attack, seed: torch.arange(50) < (50 if attack == "clean" else len(defence)),
        **options,
    )


def svg_text(svg: str) -> list[str]:
    """The text in a figure."""
    return [
        "".join(found.itertext()).strip()
        for found in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    ]


SPEC: dict[str, Any] = {
    "dataset": "digits", "models": ["net"], "attacks": ["clean", "pgd2"], "seeds": 2, "limit": 4,
    "defences": ["undefended", "counteraction", "rotation"], "threat_model": {"eps": "12/255"},
}  # fmt: skip

# seed 0 and seed 1; the worst case of counteraction: 1000 and 1100, so 1.5 of 4
_RIGHT = {
    ("undefended", "clean"): ([1, 1, 1, 1], [1, 1, 1, 1]),
    ("undefended", "pgd2"): ([0, 0, 0, 0], [0, 0, 0, 0]),
    ("counteraction", "clean"): ([1, 1, 0, 0], [1, 1, 0, 0]),
    ("counteraction", "pgd2"): ([1, 0, 1, 0], [1, 1, 1, 0]),
    ("rotation", "clean"): ([1, 1, 1, 0], None),
}


def half_finished(**fields: Any) -> Run:
    """A run that lacks three of its twelve measurements."""

    def correct(model: str, defence: str, attack: str, seed: int) -> list[int] | None:
        seeds = _RIGHT.get((defence, attack))
        return seeds and seeds[seed]

    return make_run(SPEC | fields, correct)


# four examples, by two draws; undefended worst case 0100, defended 1/2 0 0 0
_KNOWN: dict[tuple[str, str], list[float]] = {
    ("undefended", "clean"): [1, 1, 1, 1],
    ("undefended", "pgd2"): [0, 1, 0, 1],
    ("undefended", "bpda-pgd"): [1, 1, 1, 0],
    ("undefended", "square"): [1, 1, 1, 1],
    ("rotation", "clean"): [1, 1, 1, 0],
    ("rotation", "pgd2"): [1, 1, 0.5, 1],
    ("rotation", "bpda-pgd"): [0.5, 0, 0, 1],
    ("rotation", "square"): [1, 1, 1, 0.5],
}


def adaptive(**fields: Any) -> Run:
    """A run with attacks that know the defence, judged by two draws."""
    attacks, defences = ["clean", "pgd2", "bpda-pgd", "square"], ["undefended", "rotation"]
    changed = SPEC | {"attacks": attacks, "defences": defences, "seeds": 1, "draws": 2} | fields

    def correct(model: str, defence: str, attack: str, seed: int) -> torch.Tensor:
        shares = torch.tensor(_KNOWN[defence, attack])
        return torch.stack([shares > 0, shares > 0.5])

    return make_run(changed, correct)
