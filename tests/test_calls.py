"""Names with arguments: what is read, and what is refused in a line."""

from __future__ import annotations

import pytest

from counteract._calls import Call, parse_call, split_joined
from counteract._errors import UserError


def test_a_plain_name_has_no_arguments() -> None:
    assert parse_call("hedge", "defence") == Call("hedge", {})
    assert parse_call("package.module:make", "defence") == Call("package.module:make", {})


def test_literals_and_fractions_are_read() -> None:
    found = parse_call("art:X(a=1, b=-0.5, c=8/255, d='z+(', e=[1, 2/4], f=(1, None), g=True, h={'k': 2})", "defence")
    wanted = {"a": 1, "b": -0.5, "c": 8 / 255, "d": "z+(", "e": [1, 0.5], "f": (1, None), "g": True, "h": {"k": 2}}
    assert found == Call("art:X", wanted)
    assert parse_call("hedge()", "defence") == Call("hedge", {})


@pytest.mark.parametrize(
    "text",
    [
        "x(", "x)(", "x(1)", "x(**y)", "x(*y)", "x(a=b)", "x(a=__import__('os'))", "x(a=1)(b=2)", "x(a=1).b",
        "x(a=1/0)", "x(a='b'/2)", "x(a=lambda: 0)", "x(a=1, a=2)", "x(a=1",
        "x(a=f'{1}')", "x(a=" + "(" * 500 + ")" * 500 + ")",
        "x(a=" + "9" * 2000 + ")", "x(a=\x00)",
    ],
)  # fmt: skip
def test_anything_else_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_call(text, "defence")
    assert str(caught.value).startswith("defence ")
    assert "\n" not in str(caught.value)


def test_names_are_split_outside_of_brackets_and_quotes() -> None:
    assert split_joined("a+b(x='1+1', y=[1])+ c", "defence") == ["a", "b(x='1+1', y=[1])", "c"]


@pytest.mark.parametrize("text", ["a+", "+a", "a++b", "", "a(b", "a)b(", "a(x='b)"])
def test_a_missing_name_or_half_a_bracket_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"^defence "):
        split_joined(text, "defence")
