"""Inputs: networks with what is known of them, and pools."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from counteract._errors import UserError
from counteract.datasets import Dataset
from counteract.evaluation import RunOptions, load_inputs, make_spec
from counteract.evaluation.inputs import Inputs, load_pool, make_reading
from counteract.evaluation.spec import EvaluationSpec, Pictures


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
    with pytest.raises(ValueError, match="pool must be 'train', 'test', 'test-augmented', a path ending in"):
        load_inputs(spec(pool="tests"), RunOptions())  # though no defence mixes
    with pytest.raises(ValueError, match="has no training split for mixup-inference"):
        load_pool(spec(dataset="x.npz"), RunOptions())


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


def test_a_folder_of_pictures_is_evaluated_as_the_same_images_in_a_file_are(tmp_path: Path, digits: Dataset) -> None:
    (tmp_path / "classes.txt").write_text("\n".join(digits.class_names))
    for number in range(12):
        place = tmp_path / str(int(digits.labels[number]))
        place.mkdir(exist_ok=True)
        levels = (digits.images[number] * 255).to(torch.uint8).permute(1, 2, 0).repeat_interleave(2, 0)
        Image.fromarray(levels.repeat_interleave(2, 1).numpy()).save(place / f"{number}.png")
    own = {"dataset": f"folder:{tmp_path}", "pictures": {"resize": 32, "interpolation": "nearest"}, "limit": 12}
    inputs = load_inputs(spec(**own), RunOptions(workers=2))
    order = digits.labels[:12].argsort(stable=True)
    assert sorted(inputs.data.labels.tolist()) == digits.labels[order].tolist()
    seen = {image.numpy().tobytes() for image in inputs.data.images}
    assert seen == {((image * 255).to(torch.uint8) / 255).numpy().tobytes() for image in digits.images[:12]}
    assert inputs.data.class_names == digits.class_names
    with pytest.raises(UserError, match="has no training split for mixup-inference"):
        inputs.pool()
    reading = make_reading(Pictures(resize=32, interpolation="nearest"), RunOptions())
    pool = load_pool(spec(pool=f"folder:{tmp_path}"), RunOptions(), reading)
    assert torch.equal(pool.images, inputs.data.images)


def test_a_factorys_data_without_names_have_the_networks_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some_data.py").write_text(
        "from counteract.datasets import load_dataset\nmany = load_dataset('digits')\n"
        "def pair():\n    return many.images, many.labels\n"
    )
    found = load_inputs(spec(dataset="some_data:pair"), RunOptions()).data
    assert (len(found), found.class_names) == (5, tuple("0123456789"))
    with pytest.raises(UserError, match="resize and crop are for pictures"):
        load_inputs(spec(dataset="some_data:pair", pictures={"crop": 8}), RunOptions())
