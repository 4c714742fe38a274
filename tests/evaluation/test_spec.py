"""Specs: what is read, and what an error names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from counteract.evaluation.spec import EvaluationSpec, make_spec, preset_for, presets, read_spec

LEAST: dict[str, Any] = {"dataset": "digits", "models": ["net"], "attacks": ["none"], "defences": ["none"]}


def test_every_preset_is_valid() -> None:
    assert presets() == ["cifar10", "digits"]
    for name in presets():
        assert make_spec(preset_for(name), name).dataset == name


def test_the_papers_settings_are_the_defaults() -> None:
    spec = make_spec(LEAST, "test")
    assert (spec.attack.eps, spec.attack.eps_step, spec.attack.attack_label) == (8 / 255, 2 / 255, "true")
    counteraction = spec.parameters.counteraction
    assert (counteraction.eps, counteraction.eps_step, counteraction.num_labels) == (8 / 255, 4 / 255, 9)
    assert (spec.parameters.crop_resize.size, spec.parameters.crop_resize.executions) == ((22, 30), 50)
    assert (spec.parameters.mixup_inference.weight, spec.parameters.mixup_inference.executions) == (0.5, 30)


def test_a_file_of_images_starts_from_cifars_preset_without_its_network() -> None:
    data = preset_for("some/cifar.npz")
    assert data["dataset"] == "some/cifar.npz"
    assert "models" not in data


def test_a_spec_survives_its_own_json() -> None:
    spec = make_spec(preset_for("digits"), "digits")
    assert EvaluationSpec.model_validate(spec.model_dump(mode="json", by_alias=True)) == spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"limit": 0}, "mine.toml: limit: .*greater than or equal to 1, found 0"),
        ({"attak": {}}, "mine.toml: attak: Extra inputs are not permitted"),
        ({"attack": {"eps": "big"}}, "mine.toml: attack.eps: .*found 'big'"),
        ({"parameters": {"crop-resize": {"sizes": 1}}}, "parameters.crop-resize.sizes"),
        ({"models": []}, "mine.toml: models"),
    ],
)
def test_errors_name_source_and_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_spec(LEAST | change, "mine.toml")


def test_a_missing_key() -> None:
    with pytest.raises(ValueError, match=r"mine\.toml: dataset: Field required$"):
        make_spec({key: value for key, value in LEAST.items() if key != "dataset"}, "mine.toml")


def test_files_that_are_no_specs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.toml cannot be read: No such file"):
        read_spec(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("dataset = ")
    with pytest.raises(ValueError, match="is not valid TOML"):
        read_spec(tmp_path / "bad.toml")
