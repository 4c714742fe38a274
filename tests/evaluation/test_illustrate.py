"""The examples to look at: their first step is the adversarial image and their last what the defence makes of it."""

from __future__ import annotations

import torch
from torch import nn

from counteract import Counteraction
from counteract.datasets import Dataset
from counteract.evaluation import ExampleCache, make_spec, preset_for
from counteract.evaluation.attacks import Crafter, parse_attack
from counteract.evaluation.batches import BatchSize
from counteract.evaluation.illustrate import illustrate


def test_label_by_label(digits_net: nn.Module, digits: Dataset) -> None:
    spec = make_spec(preset_for("digits") | {"attacks": ["none", "pgd3"], "illustrations": 3}, "test")
    data = digits.take(30)
    cache, size = ExampleCache(None, print), BatchSize(30, torch.device("cpu"), print)
    crafter = Crafter(digits_net, "some", data, spec.attack, cache, size, lambda work: None)
    found = illustrate(spec, "digits-resnet-mixup", crafter)
    assert found.steps.shape == (3, 10, 3, 32, 32)
    adversarial = crafter.craft([parse_attack("pgd3")], 0, [range(30)])["pgd3"]
    places = [int((data.images == image).flatten(1).all(1).nonzero()[0]) for image in found.clean]
    assert places == sorted(places)
    assert torch.equal(found.labels, data.labels[places])
    assert torch.equal(found.steps[:, 0], adversarial[places])
    predicted = digits_net(found.steps[:, 0]).argmax(1)
    assert (predicted != found.labels).all()
    assert (found.clean_probabilities.argmax(1) == found.labels).all()
    for order, label in zip(found.order.tolist(), predicted.tolist(), strict=True):
        assert order == [other for other in range(10) if other != label]
    defence = Counteraction(digits_net, eps=12 / 255, eps_step=6 / 255, seed=0)
    counteracted, _ = defence.forward(found.steps[:, 0])  # of all nine labels, in whatever order
    assert torch.allclose(found.steps[:, -1], counteracted, atol=1e-6)
    assert not torch.allclose(found.steps[:, 1], found.steps[:, 2])
    assert torch.allclose(found.probabilities[:, 4], digits_net(found.steps[:, 4]).softmax(1), atol=1e-6)
