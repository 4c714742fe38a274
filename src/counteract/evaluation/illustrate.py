"""Examples to look at: how counteraction moves the class probabilities of adversarial images, label by label."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from counteract.evaluation.attacks import Crafter, parse_attack
from counteract.evaluation.record import Illustrations
from counteract.evaluation.shard import BLOCK
from counteract.evaluation.spec import EvaluationSpec, Variant
from counteract.preprocessors import Counteraction


def illustrate(spec: EvaluationSpec, model: str, crafter: Crafter) -> Illustrations:
    """Picks the first images that the network gets right until the first attack gets them wrong, and counteracts them.

    Images are looked for among the first hundred; where too few are lost to the attack, others follow them.
    """
    data, network = crafter.data, crafter.network
    block = range(min(BLOCK, len(data)))
    attack = next((found for found in map(parse_attack, spec.attacks) if found.steps), parse_attack("pgd10"))
    adversarial = crafter.craft([attack], 0, [block])[attack.name]
    clean, labels = data.images[: len(block)], data.labels[: len(block)]
    with torch.no_grad():
        lost = (network(clean).argmax(1) == labels) & (network(adversarial).argmax(1) != labels)
    chosen = lost.int().argsort(descending=True, stable=True)[: spec.illustrations]
    variant = Variant(name="counteraction", defence="counteraction")
    parameters = spec.parameters_for(model, targeted=attack.targeted, variant=variant).counteraction
    order, steps = _add_one_by_one(Counteraction(network, **parameters.model_dump()), adversarial[chosen])
    return Illustrations(
        clean=clean[chosen],
        labels=labels[chosen],
        order=order,
        steps=steps,
        clean_probabilities=_probabilities(network, clean[chosen]),
        probabilities=_probabilities(network, steps.flatten(0, 1)).unflatten(0, steps.shape[:2]),
    )


def _add_one_by_one(defence: Counteraction, images: Tensor) -> tuple[Tensor, Tensor]:
    """The non-predicted labels in ascending order, and the images with the perturbations of the first i added."""
    with torch.no_grad():
        logits = defence.model(images)
    labels = torch.arange(logits.shape[1], device=images.device).expand(len(images), -1)
    others = labels[labels != logits.argmax(1, keepdim=True)].view(len(images), -1)[:, : defence.num_labels]
    steps = [images]
    for count in range(1, others.shape[1] + 1):
        defence.set_params(num_labels=count)
        steps.append(defence.apply(images, others[:, :count]))
    return others, torch.stack(steps, dim=1)


def _probabilities(network: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        probabilities: Tensor = network(images).softmax(1)
    return probabilities
