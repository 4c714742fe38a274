"""Specs as they were written before, in today's words."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from counteract.evaluation.upgrade import upgrade_attack, upgrade_defence, upgrade_spec

OLD: dict[str, Any] = {
    "dataset": "digits", "models": {"a": "net"}, "attacks": ["none", "null", "pgd10"],
    "defences": ["none", "crop-pad"], "error": 0.01, "limit": 7,
    "attack": {"eps": "12/255", "attack_label": "predicted"}, "budget": {"preset": "quick", "draws": 3},
    "settings": [{"model": "a", "attacks": "targeted", "parameters": {"crop-pad": {"size": [26, 32]}}}],
    "sweep": {"parameter": "eps_step", "values": ["1/255"]},
}  # fmt: skip
NEW: dict[str, Any] = {
    "dataset": "digits", "models": {"a": "net"}, "attacks": ["clean", "clean", "pgd10"],
    "defences": ["undefended", "crop-pad"], "limit": 7,
    "threat_model": {"eps": "12/255"}, "eps_step": 2 / 255, "attack_label": "predicted",
    "preset": {"preset": "quick", "draws": 3}, "settings": OLD["settings"], "sweep": OLD["sweep"],
}  # fmt: skip


def test_old_words_become_todays() -> None:
    before = copy.deepcopy(OLD)
    assert upgrade_spec(OLD) == NEW
    assert before == OLD  # what was given is untouched


def test_todays_words_stay() -> None:
    assert upgrade_spec(NEW) == NEW
    assert upgrade_spec({}) == {}


def test_an_attack_table_has_the_defaults_that_it_had() -> None:
    """It replaced the whole table of the spec that it extended."""
    assert upgrade_spec({"attack": {}}) == {
        "threat_model": {"eps": 8 / 255}, "eps_step": 2 / 255, "attack_label": "true",
    }  # fmt: skip


@pytest.mark.parametrize("key", ["threat_model", "eps_step", "attack_label"])
def test_old_and_new_words_for_one_thing_are_left_to_be_refused(key: str) -> None:
    both: dict[str, Any] = {key: {}, "attack": {"eps": 0.1}}
    assert upgrade_spec(both) == both
    assert upgrade_spec({"budget": "quick", "preset": "full"}) == {"budget": "quick", "preset": "full"}


def test_what_is_no_spec_is_left_to_be_refused() -> None:
    odd: dict[str, Any] = {"attacks": "none", "defences": [3], "attack": 5}
    assert upgrade_spec(odd) == odd
    assert upgrade_spec({"attack": {"epsilon": 1}})["threat_model"] == {"eps": 8 / 255, "epsilon": 1}


def test_names() -> None:
    assert [upgrade_attack(name) for name in ("none", "null", "pgd10")] == ["clean", "clean", "pgd10"]
    assert [upgrade_defence(name) for name in ("none", "null", "crop-pad")] == ["undefended", "null", "crop-pad"]
