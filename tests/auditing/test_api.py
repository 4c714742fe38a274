"""`counteract.audit`: an audit of things in hand."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest
from art.estimators.classification import PyTorchClassifier
from effort import TINY, make_presets_tiny
from networks import TinyNet
from torch import nn

import counteract
from counteract import Counteraction, DefendedModule, GaussianNoise
from counteract._errors import UserError
from counteract.auditing import api
from counteract.datasets import Dataset

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
    assert (spec.seeds, spec.draws, spec.preset.steps) == (2, 5, 10)


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
