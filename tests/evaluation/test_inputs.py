"""Inputs: networks with what is known of them, and pools."""

from __future__ import annotations

from pathlib import Path

import pytest

from counteract._errors import UserError
from counteract.datasets import ArrayDataset, Dataset
from counteract.evaluation import RunOptions, load_inputs, make_spec
from counteract.evaluation.inputs import IN_HAND, Inputs, check_card, load_pool
from counteract.evaluation.spec import EvaluationSpec
from counteract.models.about import About


def spec(**changes: object) -> EvaluationSpec:
    models = {"m": "digits-resnet-mixup", "i": "digits-resnet-iat"}
    few = {"dataset": "digits", "models": models, "attacks": ["clean"], "defences": ["undefended"], "limit": 5}
    return make_spec(few | changes, "test")


def test_networks_come_with_the_facts_on_their_cards() -> None:
    inputs = load_inputs(spec(), RunOptions())
    assert {label: network.about.method for label, network in inputs.networks.items()} == {"m": "mixup", "i": "iat"}
    assert len(inputs.data) == 5
    assert inputs.pool() is inputs.pool()


def test_a_factory_brings_the_source_of_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import torch\ndef make():\n    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 10))\n"
    (tmp_path / "a_module_of_mine.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    (network,) = load_inputs(spec(models=["a_module_of_mine:make"]), RunOptions()).networks.values()
    assert network.about.method is None
    assert any(code in source for source in network.about.source)


def test_pools() -> None:
    assert len(load_pool(spec(), RunOptions())) == 1297
    test, augmented = (load_pool(spec(pool=name), RunOptions()) for name in ("test", "test-augmented"))
    assert len(test) == len(augmented) == 500
    assert test.labels.equal(augmented.labels)
    assert not test.images.equal(augmented.images)
    with pytest.raises(ValueError, match="pool must be 'train', 'test', 'test-augmented' or a path ending in"):
        load_pool(spec(pool="tests"), RunOptions())
    with pytest.raises(ValueError, match="has no training split for mixup-inference"):
        load_pool(spec(dataset="x.npz"), RunOptions())


def test_other_data_than_a_networks_card_names_are_refused_or_said(digits: Dataset) -> None:
    letters = ArrayDataset("letters", digits.images[:2], digits.labels[:2], tuple("abcdefghij"))
    same = ArrayDataset("a-file", digits.images[:2], digits.labels[:2], digits.class_names)
    in_hand = ArrayDataset(IN_HAND, digits.images[:2], digits.labels[:2], tuple("abcdefghij"))
    own, other = About(dataset="digits", class_names=digits.class_names), About(dataset="cifar10")
    for known, data in ((own, digits), (own, same), (own, in_hand), (About(), digits), (other, in_hand)):
        assert check_card("m", known, data) is None
    assert "its card names digits and the classes 0, 1, 2, ...; the images are of letters" in str(
        check_card("m", own, letters)
    )
    assert "its card names mine and" in str(check_card("m", About(dataset="mine", class_names=("a",)), digits))
    assert check_card("m", other, letters) is None  # of which nothing is known
    assert "published for cifar10, and the images are of digits" in str(check_card("m", other, digits))
    with pytest.raises(ValueError, match=r"model m was trained on cifar10, as .*, and the dataset is digits: name"):
        check_card("m", About(dataset="cifar10", class_names=tuple("abcdefghij")), digits)


def test_weights_and_normalisation_are_not_ignored_where_no_network_takes_them() -> None:
    for own in ({"weights": "w.pt"}, {"mean": (0.5,) * 3, "std": (0.5,) * 3}):
        with pytest.raises(UserError, match=r"weights, mean and std go with package\.module:factory"):
            load_inputs(spec(own_network=own), RunOptions())


def test_strangers_are_the_networks_and_the_defences_in_hand() -> None:
    inputs = load_inputs(spec(models=["digits-resnet-iat"]), RunOptions())
    (network,) = inputs.networks.values()
    defence = object()
    found = Inputs(inputs.data, inputs.networks, inputs.pool, {"mine": defence}).strangers()
    assert found == {"defence mine": defence, "model digits-resnet-iat": network.module}
