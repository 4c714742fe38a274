"""Threat models that networks are published for are the default, and are never replaced in silence."""

from __future__ import annotations

from typing import Any

import pytest

from counteract.evaluation import make_spec
from counteract.evaluation.threats import published_threat, with_default_threat
from counteract.models.about import About

L2 = "robustbench:cifar10/L2/Engstrom2019Robustness"
LINF = "robustbench:cifar10/Linf/Carmon2019Unlabeled"
IMAGENET = "robustbench:imagenet/Linf/Salman2020Do_R18"
WEATHER = "robustbench:cifar10/corruptions/Hendrycks2020AugMix_WRN"
DEFAULT = {"norm": "Linf", "eps": "8/255"}


def threat(*models: str, attacks: Any = ("clean", "pgd10"), **said: Any) -> str:
    data = {"dataset": "cifar10", "attacks": attacks, "defences": ["undefended"], "models": models}
    return str(make_spec(data | ({"threat_model": said} if said else {}), "test").threat_model)


@pytest.mark.parametrize(
    ("model", "said", "found"),
    [
        (L2, {}, "L2, eps = 0.5"),
        (L2, {"eps": 0.25}, "L2, eps = 0.25"),
        (L2, {"norm": "Linf"}, "Linf, eps = 8/255"),
        (L2, {"norm": "Linf", "eps": "4/255"}, "Linf, eps = 4/255"),
        (LINF, {}, "Linf, eps = 8/255"),
        (LINF, {"norm": "L2"}, "L2, eps = 0.5"),
        (IMAGENET, {}, "Linf, eps = 4/255"),
        (IMAGENET, {"norm": "Linf"}, "Linf, eps = 4/255"),
        (WEATHER, {"norm": "L2"}, "L2, eps = 0.5"),
        ("iat", {}, "Linf, eps = 8/255"),
        ("iat", {"norm": "L1"}, "L1, eps = 12"),
    ],
)
def test_what_is_not_said_is_what_was_published(model: str, said: dict[str, Any], found: str) -> None:
    assert threat(model, **said) == found


def test_what_is_not_clear_is_refused() -> None:
    with pytest.raises(ValueError, match=r"several threat models \(.* for L2, eps = 0.5, .* for Linf, eps = 8/255\)"):
        threat(L2, LINF)
    assert threat(L2, LINF, norm="L2") == "L2, eps = 0.5"
    assert threat(L2, "iat") == "L2, eps = 0.5"
    every: list[dict[str, Any]] = [{}, {"eps": "4/255"}]
    for said in every:
        with pytest.raises(ValueError, match=r"published for corruptions, .*name a norm and an eps.*cifar10-c:fog:3"):
            threat(WEATHER, **said)
    threat(WEATHER, attacks=("clean",))


@pytest.mark.parametrize(
    ("models", "said", "fixed", "keeps", "attacks"),
    [
        ([L2], {}, False, False, None),
        ([L2], {}, True, True, None),
        ([L2], {"eps": 0.25}, False, False, None),
        ([LINF], {}, False, True, None),
        ([IMAGENET], {}, False, False, None),
        (["iat"], {}, False, True, None),
        (["iat"], {"norm": "L2"}, False, False, None),
        (["iat"], {"norm": "L2"}, True, False, None),
        (["iat"], {"norm": "Linf"}, False, True, None),
        ([WEATHER], {}, False, False, ["clean"]),
        ([WEATHER], {"norm": "L2"}, False, False, None),
        ([WEATHER, "iat"], {}, False, False, None),
    ],
)
def test_defaults_give_way(
    models: list[str], said: dict[str, Any], fixed: bool, keeps: bool, attacks: list[str] | None
) -> None:
    data = {"models": models, "threat_model": DEFAULT, "eps_step": "2/255"}
    found = with_default_threat(data, said, fixed=fixed)
    assert ("threat_model" in found, "eps_step" in found) == (keeps, keeps)
    assert found.get("attacks") == attacks


def test_in_words() -> None:
    assert published_threat(About(norm="L2", eps=0.5)) == "L2, eps = 0.5"
    assert published_threat(About(norm="corruptions")) == "corruptions"
    assert published_threat(About()) == ""
