"""Reaching what strangers' code holds and names."""

from __future__ import annotations

import os
from functools import partial
from types import ModuleType, SimpleNamespace

import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract._reach import attributes_of, held_modules, methods_of, named_globals, reachable, strange_classes

NAMED = nn.Linear(2, 2)
"""A network that a method names."""


ELSEWHERE = ModuleType("elsewhere")
"""Another module."""

vars(ELSEWHERE)["net"] = NAMED


class Naming(nn.Module):
    """A network that asks another one, which its method names."""

    def forward(self, x: Tensor) -> Tensor:
        return max((NAMED(each) for each in [x]), key=len)  # type: ignore[no-any-return]


def test_modules_are_found_wherever_they_are() -> None:
    inner = nn.ReLU()

    def closure(x: Tensor) -> Tensor:
        return inner(x)  # type: ignore[no-any-return]

    def default(x: Tensor, net: nn.Module = inner, *, other: nn.Module = inner) -> Tensor:
        return net(other(x))  # type: ignore[no-any-return]

    class Bound:
        def __init__(self) -> None:
            self.net = inner

        def ask(self) -> None: ...

    for holder in (
        [inner],
        {"a": (inner,)},
        SimpleNamespace(b=[SimpleNamespace(c=inner)]),
        closure,
        default,
        partial(max, key=inner),
        Bound().ask,
    ):
        assert held_modules(holder) == [inner]
        leaf = nn.Flatten()
        leaf.hidden = holder  # type: ignore[assignment]
        outer = nn.Sequential(leaf)
        assert held_modules(outer) == [outer, leaf, inner]
    for register in (nn.Module.register_forward_hook, nn.Module.register_forward_pre_hook):
        hooked = nn.Flatten()
        register(hooked, lambda module, *call: inner(call[-1]))
        assert held_modules(hooked) == [hooked, inner]
    assert held_modules(Naming())[1:] == [NAMED]
    assert held_modules(lambda x: ELSEWHERE.net(x)) == [NAMED]


def test_what_slots_hold_is_found() -> None:
    class Slotted:
        __slots__ = ("empty", "net")

    holder, inner = Slotted(), nn.ReLU()
    holder.net = inner  # type: ignore[attr-defined]
    assert attributes_of(holder) == {"net": inner}
    assert held_modules(holder) == [inner]


def test_each_is_yielded_once_and_nothing_is_endless() -> None:
    knot: list[object] = [3, torch.ones(1), torch, int]
    knot.append(knot)
    assert list(reachable(knot)) == [knot]
    deep = SimpleNamespace(net=nn.ReLU())
    for _ in range(10):
        deep = SimpleNamespace(inner=deep)
    assert held_modules(deep) == []
    assert len(held_modules(TinyNet())) == len(list(TinyNet().modules()))


def test_classes_and_globals_of_strangers() -> None:
    assert strange_classes(Naming()) == [Naming]
    assert strange_classes(nn.ReLU()) == []
    assert [each.__name__ for each in methods_of(Naming)] == ["forward"]
    assert ("NAMED") in [name for _, name in named_globals(methods_of(Naming))]
    assert named_globals([nn.Linear.forward, len]) == []
    assert {name for _, name in named_globals([lambda: (os.environ, torch.ones)])} == {"os", "torch"}


def test_an_empty_cell_is_passed_over() -> None:
    def outer() -> object:
        def inner() -> object:
            return late

        found = list(reachable(inner))
        late = nn.ReLU()
        return found, late

    assert outer()[0]  # type: ignore[index]
