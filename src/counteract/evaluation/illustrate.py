"""Examples to look at: what counteraction's perturbation for one label alone does to adversarial images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from counteract._answers import labels_of
from counteract._network import ask
from counteract.attacks.keys import defence_keys, example_keys
from counteract.attacks.registry import find_attack
from counteract.datasets import Dataset
from counteract.defended import DefendedModule
from counteract.evaluation.blocks import Block, read
from counteract.evaluation.crafting import Crafter
from counteract.evaluation.results import Illustrations
from counteract.evaluation.spec import EvaluationSpec, Variant
from counteract.evaluation.subject import Subject
from counteract.preprocessors import Counteraction


def illustrate(spec: EvaluationSpec, subject: Subject, crafter: Crafter, data: Dataset, block: Block) -> Illustrations:
    """Picks the first images that the network gets right until the first attack gets them wrong, and counteracts them.

    The labels are those that the defence draws for each image. Images are looked for in one block; where too few are
    lost to the attack, others follow them to be looked at, but not to be counted.
    """
    sample, network = read(data, block, subject.device), subject.module
    attack = next((found for found in map(find_attack, spec.attacks) if found.path), find_attack("pgd10"))
    adversarial = crafter.craft(attack, subject.undefended, 0, sample, torch.arange(len(block))).images
    lost = (labels_of(_odds(network, sample.images)) == sample.labels) & (
        labels_of(_odds(network, adversarial)) != sample.labels
    )
    found = lost.int().argsort(descending=True, stable=True)
    chosen, counted = found[: spec.illustrations], found[: min(spec.gains_over, int(lost.sum()))]
    variant = Variant(name="counteraction", defence="counteraction")
    defended = subject.judged(variant, targeted=attack.targeted).defended
    assert isinstance(defended, DefendedModule)
    (defence,) = defended.parts
    assert isinstance(defence, Counteraction)
    keys = defence_keys(example_keys(0, sample.index), 0)
    labels = _labels(defence, adversarial[chosen], keys[chosen])
    alone = _alone(defence, adversarial[chosen], labels)
    counteracted = defence.apply(adversarial[chosen], labels)
    gained, suppressed = _moves(defence, adversarial[counted], keys[counted], sample.labels[counted])
    shown = {
        "clean": sample.images[chosen],
        "labels": sample.labels[chosen],
        "adversarial": adversarial[chosen],
        "order": labels,
        "alone": alone,
        "counteracted": counteracted,
        "clean_probabilities": _odds(network, sample.images[chosen]).exp(),
        "adversarial_probabilities": _odds(network, adversarial[chosen]).exp(),
        "alone_probabilities": _odds(network, alone.flatten(0, 1)).exp().unflatten(0, alone.shape[:2]),
        "counteracted_probabilities": _odds(network, counteracted).exp(),
        "gained": gained,
        "suppressed": suppressed,
    }
    return Illustrations(**{name: tensor.cpu() for name, tensor in shown.items()})


def _labels(defence: Counteraction, images: Tensor, keys: Tensor) -> Tensor:
    """Returns the labels that the defence draws, in ascending order: int64, shape (N, num_labels)."""
    predicted = labels_of(_odds(defence.model, images))
    return defence._choose(defence.draw(keys, images, None), predicted).sort(1).values


def _alone(defence: Counteraction, images: Tensor, labels: Tensor) -> Tensor:
    """Returns each image with the perturbation for each of its labels alone: shape (N, num_labels, C, H, W)."""
    one = Counteraction(
        defence.model, eps=defence.eps, eps_step=defence.eps_step, num_labels=1, steps=defence.steps,
        targeted=defence.targeted, labels="all",
    )  # fmt: skip
    return torch.stack([one.apply(images, label) for label in labels.split(1, dim=1)], dim=1)


def _moves(defence: Counteraction, images: Tensor, keys: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
    """Returns where a perturbation for one label alone raises the true class, and where it lowers the predicted one.

    Both are bool, of shape (N, num_labels). Logarithms are compared: probabilities close to one are equal sooner.
    """
    before = _odds(defence.model, images)
    predicted = before.argmax(1)
    gained, suppressed = [], []
    for label in _labels(defence, images, keys).split(1, dim=1):
        after = _odds(defence.model, _alone(defence, images, label)[:, 0])
        gained.append(_of(after, true) > _of(before, true))
        suppressed.append(_of(after, predicted) < _of(before, predicted))
    return torch.stack(gained, dim=1), torch.stack(suppressed, dim=1)


def _of(odds: Tensor, labels: Tensor) -> Tensor:
    return odds.gather(1, labels[:, None])[:, 0]


def _odds(network: nn.Module, images: Tensor) -> Tensor:
    """Returns log-probabilities."""
    with torch.no_grad():
        return ask(network, images).double().log_softmax(1)
