"""Parameters from signatures: what is read, what is refused, and what cannot be told."""

from __future__ import annotations

import functools
from typing import Any, Literal

import pytest
from pydantic import ValidationError

from counteract._signatures import parameter_model, signature_of, takes_any_name


def make(
    network: Any, *, strength: float = 0.3, kind: Literal["a", "b"] = "a", size: tuple[int, int] | None = None
) -> None:
    """Makes nothing."""


class Made:
    def __init__(self, network: Any, steps: int, *more: int, **others: Any) -> None:
        """Is nothing."""


def test_what_a_function_takes_by_name_is_validated() -> None:
    found = parameter_model(make, without=["network"])
    assert found().model_dump() == {"strength": 0.3, "kind": "a", "size": None}
    assert found.model_validate({"strength": "8/255", "size": [1, 2]}).model_dump() == {
        "strength": 8 / 255,
        "kind": "a",
        "size": (1, 2),
    }
    for wrong in ({"strength": "big"}, {"kind": "c"}, {"size": (1, 2, 3)}, {"other": 1}):
        with pytest.raises(ValidationError):
            found.model_validate(wrong)


def test_a_class_and_a_partial() -> None:
    found = parameter_model(Made, without=["network"])
    assert list(found.model_fields) == ["steps"]
    with pytest.raises(ValidationError):
        found()
    given = parameter_model(functools.partial(make, strength=0.5), without=["network"])
    assert given().model_dump()["strength"] == 0.5
    assert given.model_validate({"strength": "1/4"}).model_dump()["strength"] == 0.25


def test_annotations_that_cannot_be_read_take_anything() -> None:
    def odd(network, a: "no_such_name" = 1, b: object() = 2):  # type: ignore[no-untyped-def,name-defined,valid-type]  # noqa: F821, UP037
        return network

    assert parameter_model(odd, without=["network"]).model_validate({"a": "x"}).model_dump() == {"a": "x", "b": 2}


def test_what_does_not_tell_has_no_parameters() -> None:
    assert signature_of(3) == {}  # type: ignore[arg-type]
    assert not takes_any_name(make)
    assert takes_any_name(Made)
