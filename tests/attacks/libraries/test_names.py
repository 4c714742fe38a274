"""Names of others' attacks, taken apart."""

from __future__ import annotations

import pytest

from counteract.attacks.libraries.names import read_name


@pytest.mark.parametrize(
    ("text", "library", "name", "arguments", "targeted", "defended"),
    [
        ("torchattacks:PGD", "torchattacks", "PGD", {}, False, False),
        ("torchattacks:CW(c=1, steps=50)@defended", "torchattacks", "CW", {"c": 1, "steps": 50}, False, True),
        ("torchattacks:PGD-targeted(steps=10)", "torchattacks", "PGD", {"steps": 10}, True, False),
        ("art:HopSkipJump-targeted@defended", "art", "HopSkipJump", {}, True, True),
        ("autoattack-rand@defended", "", "autoattack-rand", {}, False, True),
        ("mine(eps=8/255)", "", "mine", {"eps": 8 / 255}, False, False),
        (" art : SimBA (attack='px') @ defended ", "art", "SimBA", {"attack": "px"}, False, True),
        ("art:X(name='a@b')", "art", "X", {"name": "a@b"}, False, False),
        ("art:X(name='a:b-targeted')@defended", "art", "X", {"name": "a:b-targeted"}, False, True),
    ],
)
def test_names_are_read(
    text: str, library: str, name: str, arguments: dict[str, object], targeted: bool, defended: bool
) -> None:
    found = read_name(text)
    assert (found.home, found.name, dict(found.arguments)) == (library, name, arguments)
    assert (found.targeted, found.defended, found.text) == (targeted, defended, text)


def test_a_place_is_a_name_without_what_belongs_to_one_use_of_it() -> None:
    assert read_name("torchattacks:PGD-targeted(steps=10)@defended").place == "torchattacks:PGD"
    assert read_name("autoattack@defended").place == "autoattack"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("torchattacks:PGD@defence", "only @defended may stand behind the name, found @defence"),
        ("torchattacks:PGD@", "only @defended may stand behind the name, found @$"),
        ("torchattacks:PGD(steps=10", "cannot be read; write name"),
        ("torchattacks:PGD(10)", "arguments need their names"),
        ("torchattacks:PGD@defended(steps=10)", "@defended stands behind the brackets"),
        ("torchattacks:PGD(steps=open('x'))", "steps must be a number"),
    ],
)
def test_anything_else_is_refused_in_a_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_name(text)


def test_errors_do_not_repeat_long_names() -> None:
    long = f"art:X(text='{'a' * 500}')"
    assert len(read_name(long).short) < 100
    assert read_name("art:X").short == "art:X"
