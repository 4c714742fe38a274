"""The examples to look at: one label at a time, and how often the true class gains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from counteract import Counteraction
from counteract._batches import BatchSize
from counteract.attacks.registry import find_attack
from counteract.datasets import ArrayDataset, Dataset
from counteract.evaluation import ExampleCache, make_spec, spec_for_dataset
from counteract.evaluation.blocks import cut, read
from counteract.evaluation.crafting import Crafter
from counteract.evaluation.illustrate import illustrate
from counteract.evaluation.inputs import Inputs, Network
from counteract.evaluation.probe import ProbeStore
from counteract.evaluation.results import Illustrations
from counteract.evaluation.spec import Variant
from counteract.evaluation.subject import Subject


@pytest.fixture
def shown(digits_net: nn.Module, digits: Dataset) -> Callable[..., tuple[Illustrations, Tensor]]:
    """Returns the illustrations of a spec with some changes, and the adversarial images they are found among."""

    def make(**changes: Any) -> tuple[Illustrations, Tensor]:
        spec = make_spec(
            spec_for_dataset("digits") | {"attacks": ["clean", "pgd3"], "illustrations": 3} | changes, "test"
        )
        data = digits.take(30)
        device, label = torch.device("cpu"), "digits-resnet-mixup"
        subject = Subject(label, spec, Inputs(data, {label: Network(label, digits_net)}, lambda: data), device)
        cache, probes = ExampleCache(None, print), ProbeStore(None, print)
        crafter = Crafter(subject, spec, cache, probes, BatchSize(30, device, print))
        (block,) = cut(data)
        judged = subject.judged(Variant(name="undefended", defence="undefended"), targeted=False)
        adversarial = crafter.craft(find_attack("pgd3"), judged, 0, read(data, block, device), torch.arange(30)).images
        return illustrate(spec, subject, crafter, data, block), adversarial

    return make


def test_one_label_at_a_time(shown: Any, digits_net: nn.Module, digits: Dataset) -> None:
    found, adversarial = shown()
    data = digits.take(30)
    assert found.alone.shape == (3, 9, 3, 32, 32)
    places = [int((data.images == image).flatten(1).all(1).nonzero()[0]) for image in found.clean]
    assert places == sorted(places)
    assert torch.equal(found.labels, data.labels[places])
    assert torch.equal(found.adversarial, adversarial[places])
    predicted = digits_net(found.adversarial).argmax(1)
    assert (predicted != found.labels).all()
    assert (found.clean_probabilities.argmax(1) == found.labels).all()
    for order, label in zip(found.order.tolist(), predicted.tolist(), strict=True):
        assert order == [other for other in range(10) if other != label]
    options: dict[str, Any] = {"eps": 12 / 255, "eps_step": 6 / 255, "seed": 0}
    counteracted, _ = Counteraction(digits_net, **options).forward(found.adversarial)  # of all nine labels
    assert torch.allclose(found.counteracted, counteracted, atol=1e-6)
    one = Counteraction(digits_net, **options, num_labels=1, labels="all")
    for k in range(9):
        expected = one.apply(found.adversarial, found.order[:, k : k + 1])
        assert torch.allclose(found.alone[:, k], expected, atol=1e-6)
        assert torch.allclose(found.alone_probabilities[:, k], digits_net(expected).softmax(1).double(), atol=1e-6)


def test_counteraction_that_is_redrawn_is_shown_too(shown: Any) -> None:
    found, _ = shown(parameters={"counteraction": {"executions": 2}})
    assert found.alone.shape == (3, 9, 3, 32, 32)


def test_the_pairs_that_gain_are_counted_over_the_images_that_the_attack_broke(
    shown: Any, digits_net: nn.Module, digits: Dataset
) -> None:
    found, adversarial = shown(gains_over=5)
    data = digits.take(30)
    lost = (digits_net(data.images).argmax(1) == data.labels) & (digits_net(adversarial).argmax(1) != data.labels)
    assert int(lost.sum()) >= 5
    images, true = adversarial[lost][:5], data.labels[lost][:5]
    before = digits_net(images).softmax(1).double()
    predicted = before.argmax(1)
    one = Counteraction(digits_net, eps=12 / 255, eps_step=6 / 255, num_labels=1, labels="all")
    for row in range(5):
        others = [label for label in range(10) if label != predicted[row]]
        for column, label in enumerate(others):
            after = digits_net(one.apply(images[row : row + 1], torch.tensor([[label]]))).softmax(1).double()[0]
            risen = after - before[row]
            if risen[true[row]].abs() > 1e-6:
                assert found.gained[row, column] == (risen[true[row]] > 0)
            if risen[predicted[row]].abs() > 1e-6:
                assert found.suppressed[row, column] == (risen[predicted[row]] < 0)
    assert found.gained.shape == (5, 9)
    assert shown(gains_over=1000)[0].gained.shape == (int(lost.sum()), 9)
    few = {"parameters": {"counteraction": {"num_labels": 2, "eps": "12/255", "eps_step": "6/255"}}}
    drawn = shown(**few)[0].order
    assert drawn.shape == (3, 2)
    assert not (drawn == torch.tensor([0, 1])).all()  # they are drawn, not the first ones


class Three(nn.Module):
    """Three classes."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)[:, :3]
        return out


def test_of_few_classes_there_are_fewer_labels(digits_net: nn.Module, digits: Dataset) -> None:
    data = digits.select((digits.labels < 3).nonzero()[:12, 0])
    few = ArrayDataset("few", data.images, data.labels, ("0", "1", "2"))
    spec = make_spec(spec_for_dataset("digits") | {"attacks": ["clean", "pgd3"], "illustrations": 3}, "test")
    label, device = "m", torch.device("cpu")
    subject = Subject(label, spec, Inputs(few, {label: Network(label, Three(digits_net).eval())}, lambda: few), device)
    crafter = Crafter(subject, spec, ExampleCache(None, print), ProbeStore(None, print), BatchSize(12, device, print))
    found = illustrate(spec, subject, crafter, few, cut(few)[0])
    assert found.alone.shape[:2] == (3, 2)
    assert found.gained.shape[1] == 2
