"""Specs: what is read, and what an error names."""

from __future__ import annotations

from typing import Any

import pytest

from counteract.evaluation.experiments import preset_for
from counteract.evaluation.spec import EvaluationSpec, Variant, make_spec

LEAST: dict[str, Any] = {"dataset": "digits", "models": ["net"], "attacks": ["none"], "defences": ["none"]}


def test_the_papers_settings_are_the_defaults() -> None:
    spec = make_spec(LEAST, "test")
    assert (spec.attack.eps, spec.attack.eps_step, spec.attack.attack_label) == (8 / 255, 2 / 255, "true")
    counteraction = spec.parameters.counteraction
    assert (counteraction.eps, counteraction.eps_step, counteraction.num_labels) == (8 / 255, 4 / 255, 9)
    assert (spec.parameters.crop_resize.size, spec.parameters.crop_resize.executions) == ((22, 30), 50)
    assert (spec.parameters.mixup_inference.weight, spec.parameters.mixup_inference.executions) == (0.5, 30)


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
        ({"attack": {"eps": "8/0"}}, r'attack.eps: .*a fraction such as "8/255", found .8/0.'),
        ({"attack": {"eps": "-8/255"}}, "attack.eps: .*greater than 0"),
        ({"settings": [{"model": "nett", "parameters": {}}]}, "settings name the model 'nett'; models are net"),
        ({"settings": [{"parameters": {"crop-resise": {}}}]}, "settings.0.parameters.crop-resise: Extra"),
        ({"sweep": {"parameter": "eps_step", "values": ["1/255", "x"]}}, "mine.toml: sweep.*found"),
        ({"sweep": {"parameter": "step", "values": [1]}}, "mine.toml: sweep.parameter"),
    ],
)
def test_errors_name_source_and_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_spec(LEAST | change, "mine.toml")


def test_an_attack_stands_in_tables_once() -> None:
    assert make_spec(LEAST | {"attacks": ["null", "pgd10", "none", "pgd10"]}, "test").attacks == ("none", "pgd10")


def test_a_missing_key() -> None:
    with pytest.raises(ValueError, match=r"mine\.toml: dataset: Field required$"):
        make_spec({key: value for key, value in LEAST.items() if key != "dataset"}, "mine.toml")


def test_settings_hold_for_their_network_and_attacks_and_the_last_one_wins() -> None:
    settings = [
        {"model": "b", "parameters": {"crop-pad": {"size": [26, 32]}}},
        {"model": "b", "attacks": "targeted", "parameters": {"crop-pad": {"size": [24, 32]}}},
        {"attacks": "targeted", "parameters": {"counteraction": {"targeted": False}}},
    ]
    spec = make_spec(LEAST | {"models": {"a": "net", "b": "net"}, "settings": settings}, "test")
    variant = Variant(name="crop-pad", defence="crop-pad")
    found = {
        (model, targeted): spec.parameters_for(model, targeted=targeted, variant=variant)
        for model in "ab"
        for targeted in (False, True)
    }
    assert {place: parameters.crop_pad.size for place, parameters in found.items()} == {
        ("a", False): (22, 30), ("a", True): (22, 30), ("b", False): (26, 32), ("b", True): (24, 32),
    }  # fmt: skip
    assert [parameters.counteraction.targeted for parameters in found.values()] == [True, False, True, False]
    assert all(parameters.crop_pad.executions == 50 for parameters in found.values())


def test_a_sweep_changes_counteraction_alone() -> None:
    sweep = {"parameter": "eps_step", "values": ["1/255", "8/255"]}
    spec = make_spec(LEAST | {"defences": ["none", "counteraction+crop-pad"], "sweep": sweep}, "test")
    variants = spec.variants()
    names = ["none", "counteraction+crop-pad@1/255", "counteraction+crop-pad@8/255"]
    assert [variant.name for variant in variants] == names
    steps = [spec.parameters_for("net", targeted=False, variant=variant).counteraction.eps_step for variant in variants]
    assert steps == [4 / 255, 1 / 255, 8 / 255]
