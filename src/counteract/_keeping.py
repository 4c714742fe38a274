"""Memories of strangers' code: answers that depend on what a network or a defence was asked before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import CellType, FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from counteract._errors import UserError
from counteract._reach import attributes_of, named_globals, reachable, strange_classes, strange_functions
from counteract._seeding import same, seeded

_DEPTH = 4
"""The levels of containers and objects that are looked into."""

_NEAR = (1 / 255, 8 / 255)
"""The distances of close neighbours, in units of the pixels' range: an attack's first steps, and its examples."""

_PLAIN = (bool, int, float, complex, str, bytes, type(None))

Ask = Callable[[Tensor], Tensor]
"""Images to answers."""

Undo = Callable[[], object]
"""A call that puts something back as it was."""


def check_memory(thing: object, named: str, ask: Ask, images: Tensor) -> None:
    """Raises UserError if a network or a defence answers otherwise once it was asked about close neighbours.

    What changes and makes no answer another, such as a log, is no memory. Everything is put back as it was.

    Args:
        thing: A module, in whose parts it looks, or another object.
        named: Its kind and name, for the error.
        ask: Images to its answers.
        images: Images in [0, 1], new to it, of a shape that is not: what it makes once for each shape is there already.
    """
    if names := _remembered(thing, ask, images):
        raise UserError(
            f"{named} answers otherwise once it was asked about similar images, of which it keeps something "
            f"({', '.join(names)}): the accuracy follows the order of the questions. Evaluate what it does without its "
            "memory"
        )


def _remembered(thing: object, ask: Ask, images: Tensor) -> list[str]:
    """Returns the names of what answers change by; none if they do not."""
    before = _look_at(thing)
    with seeded(0), torch.no_grad():
        ask(images.flip(-2))
    places = [place for place, state in _look_at(thing).items() if state != before.get(place)]
    pattern = torch.arange(images[0].numel(), device=images.device).cos().view_as(images[0]).to(images)
    neighbours = [(images + distance * pattern).clamp(0, 1) for distance in _NEAR] if places else []

    def answer(image: Tensor, *earlier: Tensor) -> Tensor:
        with _put_back(places), seeded(0), torch.no_grad():
            for each in earlier:
                ask(each)
            with seeded(1):  # the same draws, whatever was drawn before
                return ask(image)

    odd = images[1:] if len(images) % 2 == 0 else images  # what takes turns must not come out where it was
    steady = all(same(answer(near), answer(near, odd)) for near in neighbours)
    return [] if steady else [place.label for place in places]


@dataclass(frozen=True)
class _Place:
    """A place where something may be kept: an attribute of an object or a class, a buffer, a global, a closure.

    Attributes:
        owner: The identity of whose it is.
        name: Its name there.
        label: Its name, for an error.
        get: Returns what is there.
        put: Puts something there.
    """

    owner: int
    name: str
    label: str = field(compare=False)
    get: Callable[[], Any] = field(compare=False)
    put: Callable[[Any], object] = field(compare=False)


@dataclass(frozen=True, eq=False)
class _Mark:
    """A thing that is the same as long as it is the same object and has the same contents."""

    thing: object
    contents: object = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Mark) and self.thing is other.thing and self.contents == other.contents


def _look_at(thing: object) -> dict[_Place, object]:
    """Returns the state of each place, equal to an earlier one where nothing changed meanwhile."""
    return {place: _state(place.get(), _DEPTH) for place in _places(thing)}


def _places(thing: object) -> Iterator[_Place]:
    """Yields the places of an object, or of a module's parts; of all classes and functions in reach; named globals."""
    owners = dict(thing.named_modules()) if isinstance(thing, nn.Module) else {"": thing}
    for path, owner in owners.items():
        for name in _attributes(owner):
            yield _place(owner, name, f"{path}.{name}".lstrip("."))
    reached = [*owners.values(), *reachable(thing)]
    for kind in dict.fromkeys(kind for each in reached for kind in strange_classes(each)):
        for name, value in vars(kind).items():
            if not name.startswith("__") and not callable(value):
                own = partial(vars(kind).get, name)  # as it is there: getattr would bind the method of a class
                yield _Place(id(kind), name, f"{kind.__name__}.{name}", own, partial(setattr, kind, name))
    functions = strange_functions(thing)
    for space, name in named_globals(functions):
        if not callable(space[name]) and not isinstance(space[name], ModuleType):
            yield _Place(id(space), name, name, partial(space.get, name), partial(space.__setitem__, name))
    for function in functions:
        yield from _places_of(function)


def _places_of(function: FunctionType) -> Iterator[_Place]:
    """Yields the places of a function: its attributes, its defaults, and the variables that it has from around it."""
    label = function.__name__
    for name in vars(function):
        yield _place(function, name, f"{label}.{name}")
    code, defaults = function.__code__, function.__defaults__ or ()
    positional = code.co_varnames[: code.co_argcount]
    given = dict(zip(positional[len(positional) - len(defaults) :], defaults, strict=True))
    given |= function.__kwdefaults__ or {}
    for name in given:  # which stay the same objects, with other things in them
        yield _Place(id(function), name, f"{label}.{name}", partial(given.get, name), partial(given.__setitem__, name))
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        put = partial(setattr, cell, "cell_contents")
        yield _Place(id(cell), name, f"{label}.{name}", partial(_contents, cell), put)


def _contents(cell: CellType) -> object:
    """Returns what a variable of a closure holds; None where it is empty yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _place(owner: object, name: str, label: str) -> _Place:
    return _Place(id(owner), name, label, partial(getattr, owner, name, None), partial(setattr, owner, name))


def _state(thing: object, depth: int) -> object:
    """Returns what two looks at a thing can be compared by."""
    if isinstance(thing, _PLAIN):
        return repr(thing)
    if isinstance(thing, Tensor):
        return _Mark(thing, 0 if thing.is_inference() else thing._version)
    if isinstance(thing, np.ndarray):
        return _Mark(thing, thing.tobytes())
    return _Mark(thing, [_state(each, depth - 1) for each in _inner(thing)] if depth else None)


def _inner(thing: object) -> Iterable[object]:
    """Returns what a container or an object holds."""
    if isinstance(thing, (nn.Module, type)):
        return ()
    if isinstance(thing, (list, tuple, set, frozenset, deque)):
        return thing
    return list((thing if isinstance(thing, Mapping) else _attributes(thing)).values())


def _attributes(thing: object) -> dict[str, object]:
    """Returns the attributes of an object's own; the buffers of a module by their names, too."""
    own = attributes_of(thing)
    return own | dict(own.pop("_buffers", {})) if isinstance(thing, nn.Module) else own


@contextmanager
def _put_back(places: Sequence[_Place]) -> Iterator[None]:
    """Puts what is in some places back as it was."""
    undo: list[Undo] = []
    for place in places:
        value = place.get()
        undo += [partial(place.put, value), *_undoing(value, _DEPTH)]
    try:
        yield
    finally:
        for each in undo:
            each()


def _undoing(thing: Any, depth: int) -> list[Undo]:
    """Returns calls that put a thing back as it is now, and what it holds."""
    if isinstance(thing, Tensor):
        value, state = thing.detach().clone(), _state(thing, 0)
        return [lambda: None if _state(thing, 0) == state else thing.data.copy_(value)]
    if isinstance(thing, np.ndarray):
        array = thing.copy()
        return [lambda: np.copyto(thing, array)]
    if isinstance(thing, (*_PLAIN, nn.Module, type)) or not depth:
        return []
    own: list[Undo] = []
    if isinstance(thing, (list, deque)):
        items = list(thing)
        own = [thing.clear, lambda: thing.extend(items)]
    elif isinstance(thing, (dict, set)):
        kept = thing.copy()
        own = [thing.clear, lambda: thing.update(kept)]
    elif not isinstance(thing, (tuple, frozenset)):
        named = dict(getattr(thing, "__dict__", {}))
        slots = {name: value for name, value in attributes_of(thing).items() if name not in named}
        own = [lambda: vars(thing).update(named)] if named else []
        own += [partial(object.__setattr__, thing, name, value) for name, value in slots.items()]
    return [*own, *(each for inner in _inner(thing) for each in _undoing(inner, depth - 1))]
