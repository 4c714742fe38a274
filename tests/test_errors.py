"""The error for a name that is not known: near names where there are any, else all of them."""

from __future__ import annotations

import numpy as np

from counteract._errors import UserError, shown, unknown_name

KNOWN = ["counteraction", "crop-pad", "crop-resize"]


def test_a_near_name_is_the_hint() -> None:
    error = unknown_name("defence", "counteracton", KNOWN)
    assert isinstance(error, UserError)
    assert isinstance(error, ValueError)
    assert str(error) == "defence 'counteracton' is not known; did you mean counteraction?"


def test_several_near_names_are_hints() -> None:
    assert str(unknown_name("defence", "crop", iter(KNOWN))).endswith("did you mean crop-pad or crop-resize?")


def test_without_a_near_name_all_are_listed_and_whatever_else_would_do() -> None:
    everything = "known: counteraction, crop-pad, crop-resize"
    assert str(unknown_name("defence", "0", KNOWN)) == f"defence '0' is not known; {everything}"
    assert str(unknown_name("defence", "0", KNOWN, "a file")).endswith(f"{everything}, a file")


def test_a_value_is_shown_on_one_short_line() -> None:
    assert shown("8/255") == "'8/255'"
    assert shown(np.zeros((2, 1))) == "array([[0.], [0.]])"
    assert len(shown(["long"] * 100)) < 90
