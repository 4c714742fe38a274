"""Memories of strangers' code: answers that depend on what a network or a defence was asked before."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from counteract._seeding import same, seeded

_DEPTH = 4
"""The levels of containers and objects that are looked into."""

_NEAR = (1 / 255, 8 / 255)
"""The distances of close neighbours, in units of the pixels' range: an attack's first steps, and its examples."""

_LEAVES = (Tensor, np.ndarray, nn.Module, str, bytes, type)
"""Kinds of things that hold nothing but what they are."""

Ask = Callable[[Tensor], Tensor]
"""Images to answers."""


def remembered(thing: object, ask: Ask, images: Tensor) -> list[str]:
    """Returns the attributes by which its answers change once it was asked about close neighbours; none if they do not.

    What grows and changes no answer, such as a log, is none of them. Everything is put back as it was.

    Args:
        thing: A module, in whose parts it looks, or another object.
        ask: Images to its answers.
        images: Images in [0, 1], new to it, of a shape that is not: what it makes once for each shape is there already.
    """
    before = _counts(thing)
    with seeded(0), torch.no_grad():
        ask(images.flip(-2))
    names = [name for name, count in _counts(thing).items() if count > before.get(name, 0)]
    pattern = torch.arange(images[0].numel(), device=images.device).cos().view_as(images[0]).to(images)
    neighbours = [(images + distance * pattern).clamp(0, 1) for distance in _NEAR] if names else []

    def answer(image: Tensor, *earlier: Tensor) -> Tensor:
        with _put_back(thing, names), seeded(0), torch.no_grad():
            for each in earlier:
                ask(each)
            with seeded(1):  # the same draws, whatever was drawn before
                return ask(image)

    return [] if all(same(answer(near), answer(near, images)) for near in neighbours) else names


def remembers(named: str, names: Sequence[str]) -> str:
    """Returns the refusal of a network or a defence that remembers."""
    return (
        f"{named} answers otherwise once it was asked about similar images, which it keeps ({', '.join(names)}): the "
        "accuracy follows the order of the questions. Evaluate what it does without its memory"
    )


def _counts(thing: object) -> dict[str, int]:
    """Returns the number of things that each attribute holds."""
    owners = thing.named_modules() if isinstance(thing, nn.Module) else [("", thing)]
    return {
        f"{path}.{name}".lstrip("."): _count(value, _DEPTH)
        for path, owner in owners
        for name, value in _attributes(owner).items()
    }


def _count(thing: object, depth: int) -> int:
    """Returns the number of things in a thing, those in its containers included."""
    if isinstance(thing, (Tensor, np.ndarray)):
        return int(np.prod(thing.shape))
    return 1 + sum(_count(each, depth - 1) for each in _inner(thing)) if depth else 1


def _inner(thing: object) -> Iterable[object]:
    """Returns what a container or an object holds."""
    if isinstance(thing, _LEAVES):
        return ()
    if isinstance(thing, (list, tuple, set, frozenset, deque)):
        return thing
    return list((thing if isinstance(thing, Mapping) else _attributes(thing)).values())


def _attributes(thing: object) -> dict[str, object]:
    """Returns the attributes of an object's own; the buffers of a module by their names, too."""
    own = dict(getattr(thing, "__dict__", {}))
    return own | dict(own.pop("_buffers", {})) if isinstance(thing, nn.Module) else own


@contextmanager
def _put_back(thing: object, names: Sequence[str]) -> Iterator[None]:
    """Puts some attributes back as they were: containers and objects, and what is assigned, not values in an array."""
    places = [name.rpartition(".") for name in names]
    owners = [thing.get_submodule(path) if isinstance(thing, nn.Module) else thing for path, _, _ in places]
    kept = [_copied(getattr(owner, name), _DEPTH) for owner, (_, _, name) in zip(owners, places, strict=True)]
    try:
        yield
    finally:
        for owner, (_, _, name), value in zip(owners, places, kept, strict=True):
            setattr(owner, name, value)


def _copied(thing: object, depth: int) -> object:
    """Returns a copy of a container or an object, which shares with it what is none."""
    if not depth or isinstance(thing, _LEAVES):
        return thing
    made = copy.copy(thing)
    inner = made if isinstance(made, MutableMapping) else getattr(made, "__dict__", {})
    for name, value in list(inner.items()):
        inner[name] = _copied(value, depth - 1)
    if isinstance(made, (list, deque)):
        for place, value in enumerate(made):
            made[place] = _copied(value, depth - 1)
    return made
