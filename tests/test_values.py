"""Validated data: fractions are read, and what is out of range is refused."""

from __future__ import annotations

from typing import Any

import pytest

from counteract._toml import validate
from counteract._values import Count, Positive, Size, Strict


class Example(Strict):
    """One value of each kind."""

    eps: Positive = 1.0
    steps: Count = 1
    size: Size = (1, 2)


def test_fractions_are_numbers() -> None:
    assert Example.model_validate({"eps": "8/255", "size": [3, 4]}) == Example(eps=8 / 255, size=(3, 4))
    assert Example.model_validate({"eps": "0.5"}).eps == 0.5


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"eps": "8/0"}, r'test: eps: .*a number or a fraction such as "8/255", found .8/0.'),
        ({"eps": "big"}, "found 'big'"),
        ({"eps": 0}, "greater than 0, found 0"),
        ({"eps": float("inf")}, "finite number"),
        ({"steps": 0}, "test: steps: .*greater than or equal to 1"),
        ({"steps": 10**30}, "test: steps: .*less than 2147483648"),
        ({"steps": True}, "test: steps: .*must be a number, not true or false"),
        ({"eps": True}, "test: eps: .*must be a number, not true or false"),
        ({"eps": "1e999"}, "finite number"),
        ({"eps": "1e999999999"}, "finite number"),
        ({"eps": "nan"}, "greater than 0"),
        ({"eps": f"{10**400}/3"}, "a fraction such as"),
        ({"eps": "9" * 5000 + "/3"}, "a fraction such as"),
        ({"size": (0, 3)}, "test: size.0"),
        ({"epss": 1}, "test: epss: Extra inputs are not permitted"),
    ],
)
def test_mistakes(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        validate(Example, data, "test")


def test_nobody_changes_it() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Example().eps = 2.0
