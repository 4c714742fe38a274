"""Names of defences: parts, arguments, and the parameters that a spec has for them."""

from __future__ import annotations

from typing import Any

import pytest

from counteract._calls import Call
from counteract._errors import UserError
from counteract.defences import check_parameters, find_defence, parse_defence, spell_call
from counteract.defences.names import checked
from counteract.defences.registry import Defence


def test_a_name_is_split_into_its_parts() -> None:
    assert parse_defence("none") == parse_defence("undefended") == ()
    name = "counteraction(num_labels=5)+art:JpegCompression+my.module:make(a='x+y')"
    wanted = (
        Call("counteraction", {"num_labels": 5}),
        Call("art:JpegCompression"),
        Call("my.module:make", {"a": "x+y"}),
    )
    assert parse_defence(name) == wanted


def test_a_typo_lists_near_names() -> None:
    with pytest.raises(ValueError, match=r"defence 'crop-rezise' is not known; did you mean crop-resize"):
        parse_defence("counteraction+crop-rezise")
    with pytest.raises(ValueError, match=r"defence 'jpegcompression' is not known; did you mean art:JpegCompression\?"):
        parse_defence("jpegcompression(quality=50)")
    with pytest.raises(ValueError, match=r"defence 'zzz' is not known; known: undefended, counteraction.*art:NAME"):
        parse_defence("zzz")
    with pytest.raises(ValueError, match="a name is missing beside a"):
        parse_defence("counteraction+")
    with pytest.raises(ValueError, match="undefended stands alone"):
        parse_defence("undefended+hedge")


def test_what_is_spelled_is_read_again() -> None:
    arguments = {"quality": 50, "size": (1, 2), "name": "it's", "on": None}
    (found,) = parse_defence(spell_call("hedge", arguments))
    assert found == Call("hedge", arguments)
    assert spell_call("hedge", {}) == "hedge"


def test_what_is_given_is_validated_and_the_rest_is_left_out() -> None:
    given: dict[str, dict[str, Any]] = {
        "counteraction": {"eps": "4/255"},
        "crop-resize": {"size": [20, 25], "executions": 4},
        "my:make": {"x": 1},
    }
    assert check_parameters(given) == {
        "counteraction": {"eps": 4 / 255}, "crop-resize": {"size": (20, 25), "executions": 4}, "my:make": {"x": 1},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"crop-resise": {}}, "defence 'crop-resise' is not known; did you mean crop-resize"),
        ({"crop-resize": {"sizes": 1}}, "crop-resize: parameter .sizes. is not known; did you mean size"),
        ({"crop-resize": {"executions": 0}}, "crop-resize: executions: .*found 0"),
        ({"counteraction": {"eps": 9999}}, "counteraction: eps must be a number from 0 to 1"),
        ({"crop-pad": {"size": (30, 22)}}, "crop-pad: size must be a pair"),
        ({"counteraction": {"eps": "big"}}, "counteraction: eps: .*found 'big'"),
        ({"counteraction-untargeted": {}}, "has no parameters of its own: give those of counteraction"),
        ({"undefended": {}}, "defence 'undefended' is not known"),
    ],
)
def test_wrong_parameters(values: dict[str, dict[str, Any]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_parameters(values)


def test_a_factory_that_takes_any_name_is_given_any() -> None:
    def make(network: object, strength: float = 1.0, **more: object) -> object:
        return network

    given = {"strength": "1/4", "other": [1, 2], "executions": 3}
    assert checked(Defence("mine", "", make), given) == {"strength": 0.25, "other": [1, 2], "executions": 3}
    with pytest.raises(UserError, match="rotation: parameter 'bogus' is not known"):
        checked(find_defence("rotation"), {"bogus": 1})


def test_the_papers_settings_are_the_defaults() -> None:
    found = {name: find_defence(name).parameters().model_dump() for name in ("crop-resize", "mixup-inference")}
    assert (found["crop-resize"]["size"], found["crop-resize"]["executions"]) == (None, 50)
    assert (found["mixup-inference"]["weight"], found["mixup-inference"]["executions"]) == (0.5, 30)
    counteraction = find_defence("counteraction").parameters().model_dump()
    assert (counteraction["eps"], counteraction["eps_step"], counteraction["num_labels"]) == (8 / 255, 4 / 255, 9)
