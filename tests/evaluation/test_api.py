"""`evaluate`: tensors, arrays, networks and defences in hand, and mistakes in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import Tensor, nn
from watching import Watcher

from counteract import Counteraction, DefendedModule, GaussianNoise, RandomRotation, evaluate
from counteract.datasets import ArrayDataset, Dataset
from counteract.evaluation import Run, RunOptions

FEW: dict[str, Any] = {"attacks": ["clean", "pgd3"], "eps": 12 / 255}


def run(network: Any, *data: Any, **changes: Any) -> Run:
    return evaluate(network, *data, options=RunOptions(watcher=Watcher()), **FEW | changes)


def accuracies(found: Run) -> dict[tuple[str, str], float]:
    return {(row.defence, row.attack): row.accuracy for row in found.rows}


def test_tensors_arrays_datasets_and_art_classifiers_are_the_same(digits_net: nn.Module, digits: Dataset) -> None:
    images, labels = digits.images[:20], digits.labels[:20]
    classifier = PyTorchClassifier(digits_net, nn.CrossEntropyLoss(), (3, 32, 32), 10, clip_values=(0, 1))
    first = accuracies(run(digits_net, images, labels))
    assert first["undefended", "clean"] > first["undefended", "pgd3"]
    assert accuracies(run(digits_net, images.numpy().astype(np.float64), labels.numpy().astype(np.int32))) == first
    assert accuracies(run(digits_net, images, np.eye(10)[labels])) == first
    assert accuracies(run(digits_net, ArrayDataset("d", images, labels, digits.class_names))) == first
    with torch.inference_mode():
        assert accuracies(run(digits_net, images.clone(), labels.clone())) == first
    assert accuracies(run(classifier, images, labels)) == first
    assert accuracies(run("digits-resnet-mixup", images, labels)) == first


class Whole(nn.Module):
    """A whole defended network, that answers with probabilities."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net((4 * x).round() / 4).softmax(1)
        return out


def test_defences_in_hand(digits_net: nn.Module, digits: Dataset) -> None:
    data = digits.take(20)
    counteraction = Counteraction(digits_net, eps=12 / 255, eps_step=6 / 255)
    averaged = DefendedModule(digits_net, transforms=[GaussianNoise(0.1)], executions=3)
    defences = ["undefended", counteraction, [counteraction, RandomRotation()], averaged, Whole(digits_net), averaged]
    found = run(digits_net, data, defences=defences)
    names = [
        "undefended",
        "Counteraction",
        "Counteraction+RandomRotation",
        "DefendedModule",
        "Whole",
        "DefendedModule#2",
    ]
    assert list(found.spec.defences) == names
    given = {"counteraction": {"eps": 12 / 255, "eps_step": 6 / 255}}
    named = accuracies(run(digits_net, data, defences=["counteraction"], parameters=given))
    accuracy = accuracies(found)
    assert accuracy["Counteraction", "pgd3"] == named["counteraction", "pgd3"]
    with torch.no_grad():
        answers = Whole(digits_net)(data.images).argmax(1)
    assert accuracy["Whole", "clean"] == pytest.approx(100 * float((answers == data.labels).double().mean()))
    assert accuracy["DefendedModule", "clean"] > 80
    assert found.parameters("network", "Whole") == [("every attack", "an object of the caller's own")]


def test_attacks_that_cannot_run_are_said_and_the_others_run(digits_net: nn.Module, digits: Dataset) -> None:
    attacks = ["clean", "noise", "bpda-apgd-ce", "smooth"]
    found = run(digits_net, digits.take(8), defences=["undefended", Whole(digits_net)], attacks=attacks, preset="quick")
    assert {place[1:] for place in found.obstacles} == {("bpda-apgd-ce", "Whole"), ("smooth", "Whole")}
    assert found.complete
    assert {row.attack for row in found.rows if row.defence == "Whole"} == {"clean", "noise"}


def test_few_classes_have_fewer_attacks(digits_net: nn.Module, digits: Dataset) -> None:
    class Three(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = digits_net(x)[:, :3]
            return out

    rows = (digits.labels < 3).nonzero()[:8, 0]
    attacks = ["clean", "apgd-ce", "apgd-dlr", "apgd-t"]
    found = run(Three().eval(), digits.images[rows], digits.labels[rows], attacks=attacks, preset="quick")
    assert found.obstacles == {
        ("network", "apgd-t", "undefended"): "it needs 4 classes, and the network has 3",
    }
    assert len(found.rows) == 3


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_network_that_is_defended_already_is_said(wrapped: bool, net: nn.Module) -> None:
    defended: Any = DefendedModule(net, transforms=[GaussianNoise()], executions=3)
    if wrapped:
        defended = PyTorchClassifier(defended, nn.CrossEntropyLoss(), (3, 32, 32), 10, clip_values=(0, 1))
    with pytest.raises(ValueError, match="network is defended already, by GaussianNoise: pass the undefended network"):
        run(defended, IMAGES, LABELS)


IMAGES, LABELS = torch.rand(4, 3, 32, 32), torch.arange(4)


@pytest.mark.parametrize(
    ("data", "changes", "message"),
    [
        ((IMAGES,), {}, "labels are missing: pass one integer for each of images"),
        ((IMAGES * 255, LABELS), {}, "images has pixels outside"),
        ((IMAGES[0], LABELS), {}, r"images must be images of shape \(N, C, H, W\)"),
        ((IMAGES, LABELS[:3]), {}, "labels must be 4 integers, one for each of images; found"),
        ((IMAGES, LABELS.float()), {}, "labels must be 4 integers"),
        ((IMAGES, LABELS + 9), {}, "labels run from 9 to 12, but the network has 10 outputs"),
        ((IMAGES, LABELS), {"defences": [3]}, "defences must be names, preprocessors .*found int"),
        ((IMAGES, LABELS), {"defences": ["counterattack"]}, "defence 'counterattack' is not known"),
        ((IMAGES, LABELS), {"attacks": ["pdg10"]}, "attack 'pdg10' is not known; did you mean pgd10"),
        ((IMAGES, LABELS), {"norm": "L2"}, "norm"),
        ((IMAGES, LABELS), {"eps": -1}, "eps"),
        ((IMAGES, LABELS), {"preset": "quik"}, "'quik' is not known; did you mean quick"),
        ((IMAGES, LABELS), {"defences": ["mixup-inference"]}, "mixup-inference needs images to mix with: pass pool="),
        ((IMAGES, LABELS), {"limt": 3}, "limt"),
    ],
)
def test_mistakes(net: nn.Module, data: tuple[Any, ...], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(net, *data, **changes)
