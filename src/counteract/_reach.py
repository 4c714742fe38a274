"""Things that strangers' code can reach: what it holds, in whatever containers, and the globals that it names."""

from __future__ import annotations

import functools
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
from torch import Tensor, nn

_DEPTH = 4
"""The levels of containers and objects that are looked into, beside modules inside of modules."""

_MANY = 100
"""The items of a container that are looked at."""

_PLAIN = (bool, int, float, complex, str, bytes, type(None), Tensor, np.ndarray, type, types.ModuleType)
"""The kinds of things in which there is nothing to find."""

_INTERNALS = frozenset(vars(nn.Module())) - {"_forward_hooks", "_forward_pre_hooks"}
"""Attributes of every module, in which there is nothing of its own but its children; hooks are a stranger's code."""

_LIBRARIES = frozenset(
    {
        "art",
        "builtins",
        "collections",
        "counteract",
        "functools",
        "numpy",
        "torch",
        "torchvision",
        "timm",
        "transformers",
    }
)
"""Packages whose functions keep nothing that a stranger put there."""


def held_modules(thing: object) -> list[nn.Module]:
    """Returns the modules that something can reach, each once: its own, and those that PyTorch does not know to be its.

    Such are in plain lists, in objects that are no modules, in closures, defaults and hooks, and among the globals
    that its methods name, those of modules that it imported included.
    """
    return [each for each in reachable(thing) if isinstance(each, nn.Module)]


def reachable(thing: object) -> Iterator[object]:
    """Yields a thing and all that it can reach, each once."""
    seen: dict[int, object] = {}
    ahead = deque([(thing, _DEPTH)])
    while ahead:
        each, depth = ahead.popleft()
        if isinstance(each, _PLAIN) or id(each) in seen:
            continue
        seen[id(each)] = each
        yield each
        if isinstance(each, nn.Module):
            ahead.extend((child, depth) for child in each.children())
        if depth:
            ahead.extend((inner, depth - 1) for inner in _inner(each))


def _inner(thing: object) -> Iterable[object]:
    """Returns what a thing holds and names."""
    if isinstance(thing, Mapping):
        return list(islice(thing.values(), _MANY))
    if isinstance(thing, (list, tuple, set, frozenset, deque)):
        return list(islice(thing, _MANY))
    if isinstance(thing, types.FunctionType):
        defaults = [*(thing.__defaults__ or ()), *(thing.__kwdefaults__ or {}).values()]
        return [*_enclosed(thing), *defaults, *(space[name] for space, name in named_globals([thing]))]
    if isinstance(thing, functools.partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    if isinstance(thing, types.MethodType):
        return [thing.__self__, thing.__func__]
    skipped = _INTERNALS if isinstance(thing, nn.Module) else ()
    held = [value for name, value in attributes_of(thing).items() if name not in skipped]
    return [*held, *(each for kind in strange_classes(thing) for each in methods_of(kind))]


def attributes_of(thing: object) -> dict[str, Any]:
    """Returns the attributes of an object, those in slots included."""
    slots = [getattr(kind, "__slots__", ()) for kind in type(thing).__mro__]
    names = [name for each in slots for name in ((each,) if isinstance(each, str) else each)]
    return {name: getattr(thing, name) for name in names if hasattr(thing, name)} | getattr(thing, "__dict__", {})


def strange_classes(thing: object) -> list[type]:
    """Returns the classes of a thing that no library wrote."""
    return [kind for kind in type(thing).__mro__ if not _is_library(kind)]


def strange_functions(thing: object) -> list[types.FunctionType]:
    """Returns the functions that a thing can reach and that no library wrote."""
    return [each for each in reachable(thing) if isinstance(each, types.FunctionType) and not _is_library(each)]


def methods_of(kind: type) -> list[types.FunctionType]:
    """Returns the functions that a class defines."""
    found = (getattr(each, "__func__", each) for each in vars(kind).values())
    return [each for each in found if isinstance(each, types.FunctionType)]


def named_globals(functions: Iterable[Callable[..., Any]]) -> list[tuple[dict[str, Any], str]]:
    """Returns the globals that strangers' functions name, and the functions among these in their turn.

    Those of strangers' modules that a function names are among them: `helper.seen` is `seen` of `helper`.

    Returns:
        Each global as its namespace and its name there.
    """
    found, ahead = {}, list(functions)
    while ahead:
        function = ahead.pop()
        if not isinstance(function, types.FunctionType) or _is_library(function):
            continue
        names, spaces = names_in(function.__code__), [function.__globals__]
        for space in spaces:
            for name in names & space.keys():
                value = space[name]
                if isinstance(value, types.ModuleType) and not _is_library(value):
                    spaces += [vars(value)] * all(vars(value) is not each for each in spaces)
                if (id(space), name) not in found:
                    found[id(space), name] = (space, name)
                    ahead.append(value)
    return list(found.values())


def names_in(code: types.CodeType) -> set[str]:
    """Returns the names in a function's code and in that of functions inside of it."""
    inner = (each for each in code.co_consts if isinstance(each, types.CodeType))
    return set(code.co_names).union(*map(names_in, inner))


def _enclosed(function: types.FunctionType) -> list[object]:
    """Returns the contents of a function's closure; a cell may be empty yet."""
    found = []
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:
            continue
    return found


def _is_library(thing: Any) -> bool:
    """Returns True for a function or a class of a library, and for a module of one or of Python's own."""
    if isinstance(thing, types.ModuleType):
        return thing.__name__.partition(".")[0] in _LIBRARIES | sys.stdlib_module_names
    return str(getattr(thing, "__module__", "")).partition(".")[0] in _LIBRARIES
