"""Specs: what is read, and what an error names."""

from __future__ import annotations

from typing import Any

import pytest

from counteract._errors import UserError
from counteract.evaluation.experiments import spec_for_dataset
from counteract.evaluation.spec import EvaluationSpec, Variant, make_spec

LEAST: dict[str, Any] = {"dataset": "digits", "models": ["net"], "attacks": ["clean"], "defences": ["undefended"]}


def test_the_papers_settings_are_the_defaults() -> None:
    spec = make_spec(LEAST, "test")
    assert (spec.threat_model.norm, spec.threat_model.eps, spec.step) == ("Linf", 8 / 255, 2 / 255)
    assert spec.attack_label == "true"


def test_the_step_is_a_quarter_of_eps_unless_it_is_given() -> None:
    assert make_spec(LEAST | {"threat_model": {"eps": "16/255"}}, "test").step == 4 / 255
    assert make_spec(LEAST | {"threat_model": {"eps": "16/255"}, "eps_step": "1/255"}, "test").step == 1 / 255


def test_a_spec_survives_its_own_json() -> None:
    spec = make_spec(spec_for_dataset("digits"), "digits")
    assert EvaluationSpec.model_validate(spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"limit": 0}, "mine.toml: limit: .*greater than or equal to 1, found 0"),
        ({"attak": {}}, "mine.toml: attak: Extra inputs are not permitted"),
        ({"threat_model": {"eps": "big"}}, "mine.toml: threat_model.eps: .*found 'big'"),
        ({"threat_model": {"norm": "L0"}}, "mine.toml: threat_model.norm: .*'L0'"),
        (
            {"parameters": {"crop-resize": {"sizes": 1}}},
            "crop-resize: parameter .sizes. is not known; did you mean size",
        ),
        ({"preset": "quik"}, "'quik' is not known; did you mean quick"),
        ({"draws": 0}, "draws: .*found 0"),
        ({"models": []}, "mine.toml: models"),
        ({"defences": [["a"]]}, "mine.toml: defences"),
        ({"threat_model": {"eps": "8/0"}}, r'threat_model.eps: .*a fraction such as "8/255", found .8/0.'),
        ({"threat_model": {"eps": "-8/255"}}, "threat_model.eps: .*greater than 0"),
        ({"threat_model": {"eps": 8}}, r"mine.toml: threat_model.eps: did you mean 8/255\? .*, found 8"),
        ({"eps_step": 2.5}, r"mine.toml: eps_step: did you mean 2.5/255\? .*equal to 1, found 2.5"),
        ({"eps_step": 1000}, r"mine.toml: eps_step: Pixels have a range of 1"),
        ({"own_network": {"mean": [120]}}, r"own_network.mean.0: Input should be in \[0, 1\], .* 120/255 = 0.4706\?"),
        ({"own_network": {"mean": [-0.1]}}, r"own_network.mean.0: Input should be in \[0, 1\]"),
        ({"own_network": {"std": [1, 58]}}, r"own_network.std.1: Input should be in \(0, 1\]"),
        ({"own_network": {"std": [0]}}, r"own_network.std.0: Input should be in"),
        ({"settings": [{"model": "nett", "parameters": {}}]}, "settings name the model 'nett'; models are net"),
        (
            {"settings": [{"parameters": {"crop-resise": {}}}]},
            "defence .crop-resise. is not known; did you mean",
        ),
        ({"sweep": {"parameter": "eps_step", "values": ["1/255", "x"]}}, "mine.toml: sweep.*found"),
        ({"sweep": {"parameter": "step", "values": [1]}}, "mine.toml: sweep.parameter"),
    ],
)
def test_errors_name_source_and_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_spec(LEAST | change, "mine.toml")


def test_an_attack_stands_in_tables_once() -> None:
    assert make_spec(LEAST | {"attacks": ["null", "pgd10", "none", "clean", "pgd10"]}, "test").attacks == (
        "clean",
        "pgd10",
    )


def test_defences_have_labels_and_tables_of_arguments() -> None:
    tables = {
        "jpeg": {"use": "art:JpegCompression", "quality": 50},
        "bare": "none",
        "both": {"use": "hedge(steps=2)+art:Rounded"},
    }
    spec = make_spec(LEAST | {"defences": tables}, "test")
    assert spec.defences == {
        "jpeg": "art:JpegCompression(quality=50)", "undefended": "undefended", "both": "hedge(steps=2)+art:Rounded",
    }  # fmt: skip
    assert [(each.name, each.defence) for each in spec.variants()] == list(spec.defences.items())
    assert EvaluationSpec.model_validate(spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"quality": 50}, "jpeg must say which defence it is: use = NAME"),
        ({"use": 3}, "jpeg must say which defence it is: use = NAME"),
        ({"use": "hedge+rotation", "steps": 2}, "jpeg: arguments beside use are those of one defence"),
        ({"use": "hedge(steps=3)", "steps": 2}, "jpeg: arguments beside use are those of one defence"),
        (7, "defences.jpeg: .*string"),
    ],
)
def test_a_table_that_is_no_defence_is_refused(table: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_spec(LEAST | {"defences": {"jpeg": table}}, "test")


def test_a_missing_key() -> None:
    with pytest.raises(ValueError, match=r"mine\.toml: dataset: Field required$"):
        make_spec({key: value for key, value in LEAST.items() if key != "dataset"}, "mine.toml")


def window(parameters: dict[str, dict[str, Any]]) -> tuple[int, int]:
    size: tuple[int, int] = parameters["crop-pad"]["size"]
    return size


def test_settings_hold_for_their_networks_and_attacks_and_the_last_one_wins() -> None:
    settings = [
        {"model": "b", "parameters": {"crop-pad": {"size": [26, 32]}}},
        {"model": "b", "attacks": "targeted", "parameters": {"crop-pad": {"size": [24, 32]}}},
        {"attacks": "targeted", "parameters": {"counteraction": {"targeted": False}}},
        {"method": ["iat", "adversarial"], "parameters": {"crop-pad": {"size": [20, 21]}}},
    ]
    given = {"crop-pad": {"size": [22, 30]}, "counteraction": {"num_labels": 5}}
    spec = make_spec(LEAST | {"models": {"a": "net", "b": "net"}, "parameters": given, "settings": settings}, "test")
    variant = Variant(name="crop-pad", defence="crop-pad")
    found = {
        (model, method, targeted): spec.parameters_for(model, method, targeted=targeted, variant=variant)
        for model, method in (("a", None), ("b", "mixup"), ("b", "iat"))
        for targeted in (False, True)
    }
    assert [window(parameters) for parameters in found.values()] == [
        (22, 30), (22, 30), (26, 32), (24, 32), (20, 21), (20, 21),
    ]  # fmt: skip
    counteraction = [parameters["counteraction"] for parameters in found.values()]
    assert [given.get("targeted", True) for given in counteraction] == [True, False] * 3
    assert all(given["num_labels"] == 5 for given in counteraction)


def test_a_setting_may_hold_for_one_defence() -> None:
    settings = [
        {"defence": "counteraction+crop-pad", "attacks": "targeted", "parameters": {"crop-pad": {"size": [24, 32]}}},
        {"defence": "counteraction", "parameters": {"counteraction": {"num_labels": 2}}},
    ]
    sweep = {"parameter": "steps", "values": [2]}
    defences = ["crop-pad", "counteraction", "counteraction+crop-pad"]
    given = {"parameters": {"crop-pad": {"size": [22, 30]}}, "settings": settings, "sweep": sweep}
    spec = make_spec(LEAST | {"defences": defences} | given, "test")
    found = {
        (variant.name, targeted): spec.parameters_for("net", None, targeted=targeted, variant=variant)
        for variant in spec.variants()
        for targeted in (False, True)
    }
    assert {where for where, parameters in found.items() if window(parameters) == (24, 32)} == {
        ("counteraction+crop-pad@2", True)
    }
    labels = {where[0]: parameters["counteraction"] for where, parameters in found.items() if "@" in where[0]}
    assert {name: (p.get("num_labels"), p["steps"]) for name, p in labels.items()} == {
        "counteraction@2": (2, 2), "counteraction+crop-pad@2": (None, 2),
    }  # fmt: skip
    with pytest.raises(ValueError, match="defence 'crop-pda' is not known"):
        make_spec(LEAST | {"settings": [{"defence": "crop-pda", "parameters": {}}]}, "test")


def test_a_sweep_leaves_a_strangers_defence_of_a_similar_name() -> None:
    sweep = {"parameter": "steps", "values": [1, 2]}
    defences = ["my-counteraction", "counteraction-untargeted", "counteraction(eps=0.1)+crop-pad"]
    spec = make_spec(LEAST | {"defences": defences, "sweep": sweep}, "test")
    own, *swept = spec.variants()
    assert own.name == "my-counteraction"
    assert [each.name for each in swept] == [f"{name}@{steps}" for name in defences[1:] for steps in (1, 2)]


def test_a_sweep_changes_counteraction_alone() -> None:
    sweep = {"parameter": "eps_step", "values": ["1/255", "8/255"]}
    spec = make_spec(LEAST | {"defences": ["undefended", "counteraction+crop-pad"], "sweep": sweep}, "test")
    variants = spec.variants()
    names = ["undefended", "counteraction+crop-pad@1/255", "counteraction+crop-pad@8/255"]
    assert [variant.name for variant in variants] == names
    found = [spec.parameters_for("net", None, targeted=False, variant=variant) for variant in variants]
    assert "counteraction" not in found[0]
    assert [given["counteraction"]["eps_step"] for given in found[1:]] == [1 / 255, 8 / 255]


def test_a_sweep_takes_numbers_and_each_value_once() -> None:
    sweep = {"parameter": "eps", "values": [0.01, "1/255", 0.01, "1/255"]}
    spec = make_spec(LEAST | {"defences": ["counteraction"], "sweep": sweep}, "test")
    assert [variant.name for variant in spec.variants()] == ["counteraction@0.01", "counteraction@1/255"]
    found = [spec.parameters_for("net", None, targeted=False, variant=variant) for variant in spec.variants()]
    assert [given["counteraction"]["eps"] for given in found] == [0.01, 1 / 255]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"defences": {"undefended": "hedge"}}, "undefended is no label for hedge"),
        ({"models": "digits-resnet-iat"}, "models: .*must be a list of names, or a table"),
        ({"models": [1]}, "models: .*must be a list of names, or a table"),
        ({"settings": [{"method": "IAT", "parameters": {}}]}, "method 'IAT' is not known; did you mean iat"),
        ({"alone": ["bpda-apgd-cE"]}, "alone names bpda-apgd-cE, which is none of the attacks"),
        ({"sweep": {"parameter": "eps", "values": [1]}, "defences": ["hedge"]}, "sweep is about counteraction"),
        ({"sweep": {"parameter": "num_labels", "values": [True]}}, "must be a number, not true or false"),
        (
            {"sweep": {"parameter": "steps", "values": [2]}, "defences": {"c": {"use": "counteraction", "steps": 3}}},
            "sweep changes steps, which c has a value of its own for",
        ),
    ],
)
def test_what_would_be_left_out_is_refused(changes: dict[str, Any], words: str) -> None:
    data = {"dataset": "digits", "models": ["digits-resnet-iat"], "attacks": ["clean"], "defences": ["undefended"]}
    make_spec(dict(data), "mine.toml")
    with pytest.raises(UserError, match=words):
        make_spec(data | changes, "mine.toml")
