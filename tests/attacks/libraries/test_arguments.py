"""Arguments of others' attacks: refused where they are none, filled in from the threat model where they are missing."""

from __future__ import annotations

import math
from typing import Any

import pytest

from counteract._signatures import signature_of
from counteract.attacks import ThreatModel
from counteract.attacks.libraries.arguments import (
    bound_of,
    check_arguments,
    first_sentence,
    fitted,
)
from counteract.attacks.libraries.names import read_name

MODEL = ThreatModel(eps=0.06)


def one(model: object, eps: float = 0.3, alpha: float = 0.1, steps: int = 10) -> None: ...


def two(model: object, norm: object = "L2", eps: float = 0.3, eps_step: Any = None) -> None: ...


def three(model: object, max_epsilon: float = 0.1, lr: float = 0.01) -> None: ...


def four(model: object, steps: int, eps: float, **more: Any) -> None: ...


@pytest.mark.parametrize(
    ("made", "given", "expected"),
    [
        (one, {}, {"eps": 0.06, "alpha": 0.02}),
        (one, {"steps": 3}, {"eps": 0.06, "alpha": 0.02, "steps": 3}),
        (one, {"eps": 0.6}, {"eps": 0.6, "alpha": 0.2}),
        (one, {"alpha": 0.05}, {"eps": 0.06, "alpha": 0.05}),
        (two, {}, {"norm": "Linf", "eps": 0.06}),
        (two, {"norm": "inf"}, {"norm": "inf", "eps": 0.06}),
        (two, {"norm": math.inf}, {"norm": math.inf, "eps": 0.06}),
        (two, {"norm": "L2"}, {"norm": "L2"}),
        (two, {"norm": 2, "eps": 1.0}, {"norm": 2, "eps": 1.0}),
        (three, {}, {"max_epsilon": 0.06}),
        (four, {"steps": 1, "other": 2}, {"steps": 1, "other": 2, "eps": 0.06}),
    ],
)
def test_norm_bound_and_step_follow_the_threat_model(
    made: Any, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = fitted(signature_of(made), given, MODEL, norm="Linf", measured="Linf")
    assert found == pytest.approx(expected) if "norm" not in expected else found == expected


def test_a_bound_in_another_norm_is_the_users_or_the_librarys() -> None:
    assert fitted(signature_of(one), {}, MODEL, norm="Linf", measured="L2") == {}
    assert fitted(signature_of(one), {"eps": 0.6}, MODEL, norm="Linf", measured="L2")["alpha"] == pytest.approx(0.2)
    assert fitted(signature_of(two), {}, MODEL, norm=None, measured="wasserstein") == {}


def test_bounds_have_two_names() -> None:
    assert [bound_of(signature_of(made)) for made in (one, two, three, str)] == ["eps", "eps", "max_epsilon", None]


@pytest.mark.parametrize(
    ("made", "text", "message"),
    [
        (one, "art:X(epss=1)", "attack art:X(epss=1): argument 'epss' is not known; did you mean eps"),
        (one, "art:X(model=1)", "argument 'model' is not known"),
        (one, "art:X(steps='x')", "steps must be a number, found 'x'"),
        (one, "art:X(steps=[3])", "steps must be a number, found .3."),
        (one, "art:X(steps=True)", "steps must be a number, found True"),
        (four, "art:X", "attack art:X: art:X cannot do without steps$"),
    ],
)
def test_arguments_that_are_none_or_missing_are_refused(made: Any, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(epss=1)", r"\(epss=1\)")):
        check_arguments(read_name(text), signature_of(made), ("model",))


def test_whoever_takes_any_argument_is_given_it() -> None:
    check_arguments(read_name("art:X(steps=1, whatever=2)"), signature_of(four), ("model",))
    check_arguments(read_name("art:X(steps=1)"), signature_of(one), ("model",))
    check_arguments(read_name("art:X(norm='inf', eps_step=[1, 2])"), signature_of(two), ("model",))


def documented(text: str) -> object:
    def function() -> None: ...

    function.__doc__ = text
    return function


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("One line", "One line"),
        ("\n    CW in the paper 'Towards'\n    [https://arxiv.org/abs/1]\n\n    More.", "CW in the paper 'Towards'"),
        ("By Jianbo et al. (2019). This is\n    powerful.", "By Jianbo et al. (2019)"),
        ("Over\n    two lines.\n\n    | Paper link: https://x", "Over two lines"),
        ("In one.\n    | Paper link: https://x", "In one"),
        ("", ""),
    ],
)
def test_the_first_sentence_of_documentation(text: str, sentence: str) -> None:
    assert first_sentence(documented(text)) == sentence
