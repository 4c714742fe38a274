"""Generators that are seeded for a while, and networks that draw from them."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from counteract._seeding import OneByOne, draws_unkeyed, seeded


def drawn() -> tuple[float, float, float]:
    return float(torch.rand(())), float(np.random.rand()), random.random()


def test_the_same_numbers_give_the_same_draws_and_leave_no_trace() -> None:
    with seeded(1, 2):
        first = drawn()
    torch.manual_seed(5)
    with seeded(1, 2):
        assert drawn() == first
    assert float(torch.rand(())) == float(torch.rand((), generator=torch.Generator().manual_seed(5)))
    with seeded(2, 1):
        assert not set(drawn()) & set(first)


def test_a_generator_that_only_some_examples_draw_from_is_seeded_for_them_too() -> None:
    def noisy(value: float) -> float:
        return random.random() if value == 3 else float(np.random.random())

    def asked(values: list[float]) -> list[float]:
        return call(noisy, values, torch.tensor(values))

    call = OneByOne(None)
    whole = asked([1, 2, 3, 4])
    assert [*asked([1, 2]), *asked([3]), *asked([4])] == whole
    assert OneByOne(None)(noisy, [3.0], torch.tensor([3])) == whole[2:3]
    assert len(set(whole)) == 4


def test_generators_come_back_after_an_error() -> None:
    state = random.getstate()

    def fail() -> None:
        with seeded(1):
            random.random()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert random.getstate() == state


def test_a_network_that_draws_is_found_out(net: nn.Module, x: Tensor) -> None:
    assert not draws_unkeyed(net, x)
    assert draws_unkeyed(nn.Sequential(nn.Dropout(), net).train(), x)
    assert draws_unkeyed(lambda images: net(images) + np.random.rand(), x)


@pytest.mark.parametrize("draw", [lambda: float(torch.randint(0, 3, ())), lambda: float(random.random() < 0.1)])
def test_one_of_few_answers_is_seen_to_be_drawn(draw: Callable[[], float], net: nn.Module, x: Tensor) -> None:
    assert draws_unkeyed(lambda images: net(images) + torch.tensor([draw(), *[0.0] * 9]), x)


def test_draws_of_no_account_are_none(net: nn.Module, x: Tensor) -> None:
    assert not draws_unkeyed(lambda images: net(images) + 0 * random.random(), x)


GLOBAL = np.random.default_rng(3)
"""A generator of this module."""


class Globally:
    """An object whose method draws from a global generator."""

    def draw(self, value: float) -> float:
        return value + float(GLOBAL.random())


class Deeply:
    """An object that holds generators where nobody looks first."""

    def __init__(self, generator: object) -> None:
        self.holder = {"inner": [SimpleNamespace(generator=generator)]}

    def draw(self, value: float) -> float:
        generator = self.holder["inner"][0].generator
        if isinstance(generator, torch.Generator):
            return value + float(torch.rand((), generator=generator))
        return value + float(generator.random() if hasattr(generator, "random") else generator.rand())


GENERATORS: list[Callable[[], object]] = [
    lambda: torch.Generator().manual_seed(1),
    lambda: np.random.default_rng(1),
    lambda: np.random.RandomState(1),
    lambda: random.Random(1),
]


@pytest.mark.parametrize("make", [lambda: GLOBAL, *GENERATORS])
def test_generators_wherever_they_are_follow_the_keys(make: Callable[[], object]) -> None:
    thing = Globally() if make() is GLOBAL else Deeply(make())
    values, keys = [1.0, 2.0, 3.0], torch.tensor([7, 8, 9])
    first = OneByOne(thing)(thing.draw, values, keys)
    assert OneByOne(thing)(thing.draw, values[::-1], keys.flip(0)) == first[::-1]


@pytest.mark.parametrize("make", GENERATORS)
def test_generators_are_put_back(make: Callable[[], object]) -> None:
    thing, other = Deeply(make()), Deeply(make())
    OneByOne(thing)(thing.draw, [1.0, 2.0], torch.tensor([7, 8]))
    assert thing.draw(0) == other.draw(0)
