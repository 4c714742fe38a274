"""Examples to look at: how counteraction moves the class probabilities of adversarial images, label by label."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from counteract.attacks.registry import find_attack
from counteract.datasets import Dataset
from counteract.defences import CounteractionParameters
from counteract.evaluation.blocks import Block, read
from counteract.evaluation.crafting import Crafter
from counteract.evaluation.results import Illustrations
from counteract.evaluation.spec import EvaluationSpec, Variant
from counteract.evaluation.subject import Subject
from counteract.preprocessors import Counteraction

__all__ = ["Illustrations", "illustrate"]


def illustrate(spec: EvaluationSpec, subject: Subject, crafter: Crafter, data: Dataset, block: Block) -> Illustrations:
    """Picks the first images that the network gets right until the first attack gets them wrong, and counteracts them.

    Images are looked for in one block; where too few are lost to the attack, others follow them.
    """
    sample, network = read(data, block, subject.device), subject.module
    attack = next((found for found in map(find_attack, spec.attacks) if found.path), find_attack("pgd10"))
    judged = subject.judged(Variant(name="undefended", defence="undefended"), targeted=attack.targeted)
    adversarial = crafter.craft(attack, judged, 0, sample, torch.arange(len(block)))
    lost = (_labels(network, sample.images) == sample.labels) & (_labels(network, adversarial) != sample.labels)
    chosen = lost.int().argsort(descending=True, stable=True)[: spec.illustrations]
    variant = Variant(name="counteraction", defence="counteraction")
    parameters = spec.parameters_for(subject.label, subject.method, targeted=attack.targeted, variant=variant)
    given = parameters.get("counteraction", CounteractionParameters())
    defence = Counteraction(network, **given.model_dump())
    order, steps = _add_one_by_one(defence, adversarial[chosen])
    return Illustrations(
        clean=sample.images[chosen].cpu(),
        labels=sample.labels[chosen].cpu(),
        order=order.cpu(),
        steps=steps.cpu(),
        clean_probabilities=_probabilities(network, sample.images[chosen]).cpu(),
        probabilities=_probabilities(network, steps.flatten(0, 1)).unflatten(0, steps.shape[:2]).cpu(),
    )


def _add_one_by_one(defence: Counteraction, images: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the non-predicted labels in ascending order, and the images with the first i perturbations added."""
    with torch.no_grad():
        logits = defence.model(images.clone())
    labels = torch.arange(logits.shape[1], device=images.device).expand(len(images), -1)
    others = labels[labels != logits.argmax(1, keepdim=True)].view(len(images), -1)[:, : defence.num_labels]
    steps = [images]
    for count in range(1, others.shape[1] + 1):
        defence.set_params(num_labels=count)
        steps.append(defence.apply(images, others[:, :count]))
    return others, torch.stack(steps, dim=1)


def _labels(network: nn.Module, images: Tensor) -> Tensor:
    return _probabilities(network, images).argmax(1)


def _probabilities(network: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        probabilities: Tensor = network(images.clone()).softmax(1)
    return probabilities
