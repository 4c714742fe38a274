"""The examples to look at: their first step is the adversarial image and their last what the defence makes of it."""

from __future__ import annotations

import torch
from torch import nn

from counteract import Counteraction
from counteract._batches import BatchSize
from counteract.attacks.registry import find_attack
from counteract.datasets import Dataset
from counteract.evaluation import ExampleCache, make_spec, spec_for_dataset
from counteract.evaluation.blocks import cut, read
from counteract.evaluation.crafting import Crafter
from counteract.evaluation.identity import ProbeStore
from counteract.evaluation.illustrate import illustrate
from counteract.evaluation.inputs import Inputs, Network
from counteract.evaluation.spec import Variant
from counteract.evaluation.subject import Subject


def test_label_by_label(digits_net: nn.Module, digits: Dataset) -> None:
    spec = make_spec(spec_for_dataset("digits") | {"attacks": ["clean", "pgd3"], "illustrations": 3}, "test")
    data = digits.take(30)
    device, label = torch.device("cpu"), "digits-resnet-mixup"
    subject = Subject(label, spec, Inputs(data, {label: Network(label, digits_net)}, lambda: data), device)
    cache, probes = ExampleCache(None, print), ProbeStore(None, print)
    crafter = Crafter(subject, spec, cache, probes, BatchSize(30, device, print))
    (block,) = cut(data)
    found = illustrate(spec, subject, crafter, data, block)
    assert found.steps.shape == (3, 10, 3, 32, 32)
    judged = subject.judged(Variant(name="undefended", defence="undefended"), targeted=False)
    sample = read(data, block, device)
    adversarial = crafter.craft(find_attack("pgd3"), judged, 0, sample, torch.arange(30))
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
