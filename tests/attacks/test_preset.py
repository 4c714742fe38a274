"""Presets of attacks: by name, and with fields changed."""

from __future__ import annotations

import itertools

import pytest

from counteract.attacks import AttackPreset
from counteract.attacks.preset import DEFAULT


def test_each_tries_harder_than_the_one_before() -> None:
    assert DEFAULT == "standard"
    presets = [AttackPreset.model_validate(name) for name in ("quick", "standard", "full")]
    for less, more in itertools.pairwise(presets):
        assert all(getattr(less, field) <= getattr(more, field) for field in AttackPreset.model_fields)


def test_any_field_may_differ() -> None:
    standard = AttackPreset.model_validate("standard")
    assert AttackPreset.model_validate({"steps": 7}) == standard.model_copy(update={"steps": 7, "target_steps": 7})
    longer = AttackPreset.model_validate({"steps": 7, "target_steps": 9})
    assert (longer.steps, longer.target_steps) == (7, 9)
    quick = AttackPreset.model_validate({"preset": "quick", "precision": "bf16"})
    assert (quick.targets, quick.precision) == (3, "bf16")
    assert AttackPreset.model_validate(quick.model_dump()) == quick


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="preset 'quik' is not known; did you mean quick"):
        AttackPreset.model_validate("quik")
    with pytest.raises(ValueError, match="stpes"):
        AttackPreset.model_validate({"preset": "quick", "stpes": 7})
    with pytest.raises(ValueError, match="steps"):
        AttackPreset.model_validate({"preset": "quick", "steps": 0})


def test_a_name_is_a_text() -> None:
    with pytest.raises(ValueError, match="preset must be the name of a preset"):
        AttackPreset.model_validate({"preset": []})
