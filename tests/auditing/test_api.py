"""`counteract.audit`: an audit of things in hand."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from effort import TINY, make_presets_tiny
from networks import Averaging, Shifted, TinyNet
from torch import Tensor, nn

import counteract
from counteract import Counteraction, DefendedModule, GaussianNoise
from counteract._errors import UserError
from counteract.auditing import api
from counteract.datasets import Dataset
from counteract.reporting.remarks import remarks

FAST: dict[str, Any] = {"preset": TINY | {"steps": 1}, "seeds": 1, "draws": 1}


def test_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the least effort, which finds the same."""
    make_presets_tiny(monkeypatch, steps=2)
    (example,) = doctest.DocTestFinder().find(counteract.audit, "audit", module=False, globs={})
    assert len(example.examples) == 6
    assert doctest.DocTestRunner().run(example).failed == 0


def test_arrays_an_art_classifier_and_several_preprocessors(net: TinyNet, digits: Dataset) -> None:
    few = digits.take(8)
    classifier = PyTorchClassifier(net, nn.CrossEntropyLoss(), (3, 32, 32), 10, clip_values=(0, 1))
    images, labels = few.images.numpy(), few.labels.numpy().astype(np.int32)
    defence = [GaussianNoise(0.1), Counteraction(net)]
    arrays = counteract.audit(defence, classifier, images, labels, **FAST)
    assert arrays.defence == "GaussianNoise+Counteraction"
    assert arrays.run.spec.threat_model.eps == 8 / 255
    assert counteract.audit(defence, net, few, **FAST).checks == arrays.checks


def test_a_network_by_name_brings_its_images(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(api, "audit_spec", lambda spec, options, *, inputs: seen.append((spec, inputs)))
    counteract.audit("mixup-inference", "digits-resnet-mixup", eps="1/255", eps_step="1/510")
    counteract.audit("mixup-inference", "digits-resnet-mixup", limit=7)
    (spec, inputs), (_, fewer) = seen
    assert (len(inputs.data), len(fewer.data)) == (100, 7)
    assert len(inputs.pool()) == 1297
    assert (spec.threat_model.eps, spec.step) == (pytest.approx(1 / 255), pytest.approx(1 / 510))
    assert (spec.seeds, spec.draws, spec.preset.steps) == (2, 5, 20)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network": TinyNet()}, "images are missing: pass images and labels"),
        (
            {"network": DefendedModule(TinyNet(), preprocessing_defences=[GaussianNoise()])},
            "network is defended already, by GaussianNoise",
        ),
        ({"attacks": ["clean"]}, "attacks: an audit gives these itself"),
        ({"defence": 3}, "defences must be names"),
        ({"defence": "counteracton"}, "did you mean counteraction"),
        ({"eps": "8/0"}, 'eps: .*a fraction such as "8/255"'),
        ({"norm": "L7"}, "norm: .*found 'L7'"),
        ({"preset": "quik"}, "did you mean quick"),
        ({"sedes": 1}, "sedes: "),
    ],
)
def test_mistakes(changes: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"defence": "counteraction", "network": "digits-resnet-mixup", "limit": 2}
    with pytest.raises(UserError, match=words):
        counteract.audit(**(given | changes))


class First(nn.Module):
    """The first classes of a network."""

    def __init__(self, net: nn.Module, count: int) -> None:
        super().__init__()
        self.net, self.count = net, count

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)[:, : self.count]
        return out


@pytest.mark.parametrize("classes", [2, 3])
def test_few_classes_are_audited_without_the_attacks_that_need_more(
    digits_net: nn.Module, digits: Dataset, classes: int
) -> None:
    rows = (digits.labels < classes).nonzero()[:8, 0]
    network = First(digits_net, classes).eval()
    found = counteract.audit("counteraction", network, digits.images[rows], digits.labels[rows], **FAST)
    assert found.run.complete
    reasons = {attack: why for (_, attack, defence), why in found.run.obstacles.items() if defence == "counteraction"}
    skipped = {attack for attack, why in reasons.items() if "classes" in why}
    assert skipped == {"apgd-t", "bpda-apgd-t"} | ({"apgd-dlr", "bpda-apgd-dlr"} if classes == 2 else set())
    assert any(f"did not run on network: it needs 4 classes, and the network has {classes}" in line for line in
               remarks(found.run))  # fmt: skip
    assert all(check.flag is not None for check in found.checks if check.name == "convergence")


def test_a_network_that_writes_into_its_images_is_audited_as_one_that_does_not(digits: Dataset) -> None:
    images, labels = digits.images[:8], digits.labels[:8]
    before = images.clone()
    plain, writing = (
        counteract.audit(GaussianNoise(0.05), Shifted(in_place=each), images, labels, **FAST) for each in (False, True)
    )
    assert plain.checks == writing.checks
    assert torch.equal(images, before)


@pytest.mark.parametrize(
    ("defence", "network"),
    [(Averaging(), TinyNet()), ("counteraction", Averaging()), (DefendedModule(Averaging()), TinyNet())],
    ids=["whole", "network", "module"],
)
def test_what_follows_the_batch_is_not_audited(defence: Any, network: nn.Module, digits: Dataset) -> None:
    with pytest.raises(UserError, match=r"answers otherwise when .*: the accuracy follows the batch size"):
        counteract.audit(defence, network, digits.images[:4], digits.labels[:4], **FAST)


def test_a_network_on_other_data_than_its_card_names_is_not_audited(digits: Dataset) -> None:
    with pytest.raises(UserError, match="was trained on cifar10"):
        counteract.audit("counteraction", "cifar10-resnet18w16-iat", digits.take(4), **FAST)
