"""Attacks by their names: ours, those of libraries, and those that are registered."""

from __future__ import annotations

from typing import Any

import pytest
import torchattacks

from counteract._errors import UserError
from counteract.attacks import (
    ATTACKS,
    Path,
    attack_lines,
    attack_names,
    find_attack,
    register_attack,
    registry,
)
from counteract.attacks.libraries import registered
from counteract.attacks.own import CURES
from counteract.attacks.registry import recorded_attack


def test_names_are_found() -> None:
    assert find_attack("none") == find_attack("null") == find_attack("clean")
    one, other = find_attack("pgd10"), find_attack("pgd50-targeted")
    assert (one.steps, one.targeted, one.path, one.preset) == (10, False, Path(False), False)
    assert (other.steps, other.targeted, other.path) == (50, True, Path(True))
    assert one == find_attack("pgd10")
    assert hash(one) == hash(find_attack("pgd10"))
    assert all(find_attack(name).name == name for name in attack_names())
    assert len(ATTACKS) == 26
    assert set(CURES) < set(ATTACKS)


def test_names_of_others_are_attacks_like_ours() -> None:
    one, other = find_attack("torchattacks:CW(c=1, steps=50)@defended"), find_attack("art:HopSkipJump-targeted")
    assert (one.name, one.adaptive, one.targeted, one.gradients) == (
        "torchattacks:CW(c=1, steps=50)@defended", True, False, True,
    )  # fmt: skip
    assert (other.name, other.adaptive, other.targeted, other.gradients) == (
        "art:HopSkipJump-targeted", False, True, False,
    )  # fmt: skip
    for found in (one, other, find_attack("autoattack")):
        assert found.unkeyed
        assert not found.preset
        assert found.path is None
        assert found.origin is not None
    assert not any(found.unkeyed or found.origin for found in ATTACKS.values())
    assert one == find_attack(one.name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pgd10@defended", "pgd10 is this package's own and takes no arguments, suffixes or @defended"),
        ("smooth(steps=3)", "smooth is this package's own"),
        ("apgd-ce-targeted", "apgd-ce is this package's own"),
        ("torchattacks:PGB", "did you mean torchattacks:PGD"),
        ("torchatacks:PGD", "library of attacks 'torchatacks' is not known; did you mean torchattacks"),
        ("autoatack", "did you mean autoattack"),
        ("pgd", r"did you mean pgd50 or pgd10 or pgd200 or torchattacks:PGD\?"),
        ("fgsm", r"attack 'fgsm' is not known; did you mean torchattacks:FGSM\?"),
        ("deepfool", r"did you mean torchattacks:DeepFool or art:DeepFool\?"),
        ("torchattacks:fgsm", "did you mean torchattacks:FGSM"),
        ("bpda-agpd-ce", "attack 'bpda-agpd-ce' is not known; did you mean bpda-apgd-ce"),
        ("smoth", "did you mean smooth"),
        ("pgd0", "did you mean pgd"),
        ("pgd1000000", "did you mean pgd10"),
        ("pgd" + "9" * 5000, "any other number of steps"),
        ("pgd10-targetd", "did you mean pgd10-targeted"),
        ("zzzz", "known: clean, pgd10, .*any other number of steps"),
    ],
)
def test_a_typo_lists_near_names(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_attack(name)


def test_every_attack_has_one_line() -> None:
    lines = dict(attack_lines())
    assert list(lines)[:4] == ["clean", "pgdK", "pgdK-targeted", "noise"]
    others = {"torchattacks:NAME", "art:NAME", "autoattack", "autoattack-rand", "file:DIR"}
    assert set(lines) == {*ATTACKS, "pgdK", "pgdK-targeted", *others}
    for name, text in lines.items():
        assert "\n" not in text
        kind = None if name == "clean" else text.split(":")[0]
        adaptive = name in ATTACKS and ATTACKS[name].adaptive
        own = "adaptive" if adaptive else "oblivious"
        assert kind in (None, "oblivious, or adaptive with @defended" if name in others else own)


def test_a_registered_attack_goes_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registered, "REGISTERED", {})
    monkeypatch.setattr(registry, "REGISTERED", registered.REGISTERED)
    register_attack("mine", torchattacks.MIFGSM, about="momentum", gradients=False, least_classes=5)
    found = find_attack("mine(steps=3)@defended")
    assert (found.help, found.gradients, found.least_classes, found.adaptive) == ("momentum", False, 5, True)
    assert found.origin is torchattacks.MIFGSM
    assert ("mine", "oblivious, or adaptive with @defended: momentum") in attack_lines()
    register_attack("mine", torchattacks.PGD)  # again, as in a notebook
    assert (
        find_attack("mine").help == "PGD in the paper 'Towards Deep Learning Models Resistant to Adversarial Attacks'"
    )


def test_an_attack_that_is_known_by_its_records_alone_says_what_its_name_does() -> None:
    assert recorded_attack("pgd10") == find_attack("pgd10")
    found = recorded_attack("theirs-targeted(steps=3)@defended")
    assert (found.name, found.adaptive, found.targeted) == ("theirs-targeted(steps=3)@defended", True, True)
    assert "not known here" in found.help
    assert not recorded_attack("theirs").adaptive
    with pytest.raises(UserError, match="cannot be read"):
        recorded_attack("theirs(steps=3")


@pytest.mark.parametrize(
    "name",
    ["pgd10", "pgd7-targeted", "smooth", "clean", "none", "autoattack", "a:b", "a(b)", "a@b", "x-targeted", "", "a b"],
)
def test_a_name_that_is_taken_or_cannot_be_written_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"name '.*' is taken, or is none for an attack"):
        register_attack(name, torchattacks.PGD)


@pytest.mark.parametrize("given", [{"about": 3}, {"gradients": "no"}, {"least_classes": 0}])
def test_arguments_of_another_kind_are_refused_by_name(given: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"^{next(iter(given))} must be "):
        register_attack("mine", torchattacks.PGD, **given)
    assert "mine" not in registered.REGISTERED


def test_what_makes_no_attack_is_refused() -> None:
    with pytest.raises(ValueError, match="factory must be a function or a class that makes an attack, found int"):
        register_attack("mine", 3)  # type: ignore[arg-type]
