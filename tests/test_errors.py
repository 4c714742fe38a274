"""The error for a name that is not known: near names where there are any, else all of them."""

from __future__ import annotations

import numpy as np

from counteract._errors import UserError, describe, one_line, shown, unknown_name

KNOWN = ["counteraction", "crop-pad", "crop-resize"]


def test_a_near_name_is_the_hint() -> None:
    error = unknown_name("defence", "counteracton", KNOWN)
    assert isinstance(error, UserError)
    assert isinstance(error, ValueError)
    assert str(error) == "defence 'counteracton' is not known; did you mean counteraction?"


def test_several_near_names_are_hints() -> None:
    assert str(unknown_name("defence", "crop", iter(KNOWN))).endswith("did you mean crop-pad or crop-resize?")
    assert str(unknown_name("defence", "HEDGE", ["hedge", "x"])).endswith("did you mean hedge?")


def test_without_a_near_name_all_are_listed_and_whatever_else_would_do() -> None:
    everything = "known: counteraction, crop-pad, crop-resize"
    assert str(unknown_name("defence", "0", KNOWN)) == f"defence '0' is not known; {everything}"
    assert str(unknown_name("defence", "0", KNOWN, "a file")).endswith(f"{everything}, a file")


def test_a_value_is_shown_on_one_short_line() -> None:
    assert shown("8/255") == "'8/255'"
    assert shown(np.zeros((2, 1))) == "array([[0.], [0.]])"
    assert len(shown(["long"] * 100)) < 90


def test_a_message_is_one_line_of_at_most_300_characters() -> None:
    assert str(UserError("eps must be\n\t positive")) == "eps must be positive"
    assert str(UserError("a\x1b[31m \x00 \udcff")) == r"a\x1b[31m \x00 \udcff"
    long = str(UserError("begin " + "x" * 10_000 + " end"))
    assert len(long) == 300
    assert long.startswith("begin xxx")
    assert " ... " in long
    assert long.endswith("xxx end")


def test_a_line_may_be_shorter() -> None:
    assert one_line("a" * 20, 20) == "a" * 20
    assert len(one_line("\x00" * 21, 40)) == 40


def test_an_error_is_its_type_and_what_it_says() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise KeyError

    assert describe(KeyError("layer")) == "KeyError: 'layer'"
    assert describe(AssertionError()) == "AssertionError"
    assert describe(MuteError("x")) == "MuteError"
