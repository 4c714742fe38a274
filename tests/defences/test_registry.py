"""The registry: ours, ART's, registered ones, those of packages and anyone's factory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import pytest
from art.defences.preprocessor import JpegCompression
from torch import nn

import counteract
from counteract._errors import UserError
from counteract.defences import Defence, defence_lines, defence_names, find_defence, parse_defence, registry
from counteract.preprocessors import Counteraction


@pytest.fixture(autouse=True)
def _leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_REGISTERED", {})
    yield
    registry._entry_points.cache_clear()


def test_every_defence_has_one_line() -> None:
    lines = defence_lines()
    assert [name for name, _ in lines][: len(defence_names())] == defence_names()
    assert len(defence_names()) == 15
    assert all(text and "\n" not in text for _, text in lines)


def test_ours_are_found_by_name_with_their_classes() -> None:
    found = find_defence("counteraction")
    assert found.factory is Counteraction
    assert found.network_parameter == "model"
    assert {"eps", "num_labels", "executions"} <= set(found.parameters.model_fields)
    assert not {"model", "clip_values", "seed"} & set(found.parameters.model_fields)
    assert find_defence("counteraction-untargeted").parameters.model_fields == found.parameters.model_fields


def test_arts_act_at_inference_on_images_with_channels_first() -> None:
    found = find_defence("art:JpegCompression")
    made = found.factory(quality=10)
    assert isinstance(made, JpegCompression)
    assert (made.channels_first, made.clip_values, made.apply_predict, made.apply_fit) == (
        True,
        (0.0, 1.0),
        True,
        False,
    )
    assert found.network_parameter is None
    assert found.help
    assert find_defence("art:GaussianAugmentation").factory().apply_predict
    with pytest.raises(ValueError, match="ART's defence 'JpegCompresion' is not known; did you mean JpegCompression"):
        find_defence("art:JpegCompresion")


def test_a_registered_defence_stands_where_a_name_does() -> None:
    def make(network: nn.Module, strength: float = 0.5) -> nn.Module:
        """Does nothing.

        At all.
        """
        return network

    counteract.register_defence("mine", make)
    assert parse_defence("mine+hedge")[0].name == "mine"
    assert find_defence("mine").help == "Does nothing."
    assert "mine" in defence_names()
    assert set(find_defence("mine").parameters.model_fields) == {"strength", "executions", "average"}
    counteract.register_defence("mine", make, help="again")
    assert find_defence("mine").help == "again"


@pytest.mark.parametrize("name", ["hedge", "undefended", "none", "", "a+b", "a:b", "a(b", "a b", "-a", "a@b", "a/b"])
def test_a_name_that_is_taken_or_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        counteract.register_defence(name, lambda network: network)


def test_what_makes_no_defence_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^factory must be a function that makes a defence, or a defence, found 3$"):
        counteract.register_defence("own-number", 3)


@pytest.mark.parametrize("given", [{"executions": 0}, {"executions": "many"}, {"executions": True}, {"help": 3}])
def test_arguments_of_another_kind_are_refused_by_name(given: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"^{next(iter(given))} must be "):
        counteract.register_defence("own-noise", counteract.GaussianNoise, **given)
    assert "own-noise" not in defence_names()


def test_another_defence_cannot_take_a_name() -> None:
    counteract.register_defence("mine", lambda network: network)
    with pytest.raises(ValueError, match="'mine' is taken"):
        counteract.register_defence("mine", lambda network: network)


def test_packages_bring_defences_by_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("a_package")
    module.make = lambda network: network  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_package", module)
    entries = (
        EntryPoint("theirs", "a_package:make", registry.GROUP),
        EntryPoint("hedge", "a_package:make", registry.GROUP),
        EntryPoint("broken", "no_such_package:make", registry.GROUP),
    )
    monkeypatch.setattr(registry, "_entry_points", lambda: entries)
    monkeypatch.setattr(registry._entry_points, "cache_clear", lambda: None, raising=False)
    assert find_defence("theirs").factory is module.make
    assert find_defence("hedge").ours
    assert parse_defence("theirs")[0].name == "theirs"
    with pytest.raises(ValueError, match=r"defence broken: no_such_package:make .* fails: ModuleNotFoundError"):
        find_defence("broken")


def _by_name(strength: float = 0.5, *, model: nn.Module) -> nn.Module:
    return model


def _second(images: int, net: nn.Module) -> nn.Module:
    return net


def _positional(anything: nn.Module, /, strength: float = 0.5) -> nn.Module:
    return anything


@pytest.mark.parametrize(
    ("factory", "given", "name"),
    [
        (_by_name, {}, "model"),
        (_second, {"images": 3}, "net"),
        (_positional, {"strength": 1}, "anything"),
        (lambda *anything: anything[0], {}, "anything"),
    ],
)
def test_a_factory_is_passed_the_network_where_it_wants_it(
    factory: Callable[..., nn.Module], given: dict[str, Any], name: str
) -> None:
    network = nn.Identity()
    defence = Defence("mine", "", factory)
    assert defence.network_parameter == name
    assert defence.make(network, **given) is network
    assert name not in defence.parameters.model_fields


def test_a_network_that_a_factory_has_already_stays() -> None:
    bound = partial(_by_name, model=nn.Flatten())
    assert Defence("mine", "", bound).network_parameter is None
    assert isinstance(Defence("mine", "", bound).make(nn.Identity()), nn.Flatten)


def test_anyones_factory_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("own")
    module.make = lambda network, *, strength=1: network  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own", module)
    found = find_defence("own:make")
    assert found.factory is module.make
    assert found.network_parameter == "network"
    with pytest.raises(
        ValueError, match="defence own:mak: in module 'own', factory 'mak' is not known; did you mean make"
    ):
        find_defence("own:mak")
    with pytest.raises(ValueError, match=r"nowhere.at.all:make: module 'nowhere.at.all' cannot be imported"):
        find_defence("nowhere.at.all:make")
