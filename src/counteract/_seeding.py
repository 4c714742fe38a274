"""Randomness that has no keys: a stranger's network draws from global generators, which whoever asks it seeds."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from counteract import _random
from counteract._reach import reachable

S = TypeVar("S")
T = TypeVar("T")

Generator = torch.Generator | np.random.Generator | np.random.RandomState | random.Random
"""A generator of random numbers, of whichever library."""

_GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)

_CLOSE = 1e-4
"""The share of the largest score by which round-off may change an answer from one call to the next."""

_ASKED = 32
"""The times that what draws is asked before its draws count as of no account."""

_COPIES, _SEEDS = 8, 4
"""Copies of an image in a batch, and seeds, by which it is seen if they share a draw."""


@contextmanager
def seeded(*where: int) -> Iterator[None]:
    """Seeds the generators of PyTorch, NumPy and Python by some numbers, and puts them back as they were."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        _seed_all(_seed(*where), _SEED)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


class OneByOne:
    """A stranger's call on one example at a time, each with the generators seeded by its key.

    Of the global generators only those are seeded each time that the call draws from, which takes a third of its time
    where it is a short one: a block in which another one moved is done again with that one seeded too.

    Args:
        holder: The object whose own generators are seeded as well.
    """

    def __init__(self, holder: object) -> None:
        self._holder = holder
        self._drawn = {"torch"} if _accelerated() else set[str]()

    def __call__(self, call: Callable[[S], T], examples: Sequence[S], keys: Tensor) -> list[T]:
        """Returns what the call makes of each example; keys: int64, shape (N,)."""
        generators, seeds = own_generators(self._holder), [key % 2**63 for key in keys.tolist()]
        with seeded(0), _restored(generators):
            while True:
                before, made = _states(), []
                for example, seed in zip(examples, seeds, strict=True):
                    _seed_all(seed, self._drawn, generators)
                    made.append(call(example))
                moved = {library for library, state in _states().items() if state != before[library]}
                if moved <= self._drawn:
                    return made
                self._drawn |= moved


def _seed_all(seed: int, libraries: Iterable[str], generators: Sequence[Generator] = ()) -> None:
    """Seeds the global generators of some libraries, and others; what they were is `seeded`'s to put back."""
    for library in libraries:
        _SEED[library](seed)
    for generator in generators:
        seed_generator(generator, seed % 2**32)


def _seed_torch(seed: int) -> None:
    if _accelerated():
        torch.manual_seed(seed)
    else:  # a hundred times faster than asking all devices that there might be
        torch.default_generator.manual_seed(seed)


@functools.cache
def _accelerated() -> bool:
    """Returns True where there is another device than the CPU, with generators of its own."""
    return torch.cuda.is_available() or torch.backends.mps.is_available() or torch.xpu.is_available()


def own_generators(thing: object) -> list[Generator]:
    """Returns the generators that an object can reach: in what it holds, in closures, among globals that it names."""
    return [each for each in reachable(thing) if isinstance(each, _GENERATORS)]


@contextmanager
def _restored(generators: Sequence[Generator]) -> Iterator[None]:
    """Puts generators back as they were: they may be somebody else's, too."""
    before = [_state_of(each) for each in generators]
    try:
        yield
    finally:
        for each, state in zip(generators, before, strict=True):
            _set_state(each, state)


def _state_of(generator: Generator) -> Any:
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.getstate() if isinstance(generator, random.Random) else generator.get_state()


def _set_state(generator: Generator, state: Any) -> None:
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, random.Random):
        generator.setstate(state)
    else:
        generator.set_state(state)


def seed_generator(generator: Generator, seed: int) -> None:
    """Starts a generator anew."""
    if isinstance(generator, torch.Generator):
        generator.manual_seed(seed)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = type(generator.bit_generator)(seed).state
    else:
        generator.seed(seed % 2**32)


def global_state() -> tuple[object, ...]:
    """Returns the state of the global generators, GPUs' too, which differs once something was drawn from them."""
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return (*_states().values(), *(state.numpy().tobytes() for state in devices))


def _states() -> dict[str, object]:
    """The state of the global generator of each library."""
    name, words, *rest = np.random.get_state()
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": (name, np.asarray(words).tobytes(), *rest),
        "python": random.getstate(),
    }


_SEED: dict[str, Callable[[int], None]] = {
    "torch": _seed_torch,
    "numpy": lambda seed: np.random.seed(seed % 2**32),
    "python": random.seed,
}
"""The libraries with a global generator, each with its way to seed it."""


def _seed(*where: int) -> int:
    """One number made of several."""
    mixed = _random.key(0)
    for number in where:
        mixed = _random.fold(mixed, number)
    return int(mixed.reshape(-1)[0]) % 2**63


def draws_unkeyed(answer: Callable[[Tensor], Tensor], images: Tensor) -> bool:
    """Returns True where the same question has two answers, from generators that were seeded differently.

    One that draws, and answers the same, is asked again: it may draw one of few things, and twice the same.
    """
    first, drew = _asked(answer, images, 0)
    others = (_asked(answer, images, seed)[0] for seed in range(1, _ASKED if drew else 2))
    return any(not same(first, other) for other in others)


def shares_draws(answer: Callable[[Tensor], Tensor], images: Tensor) -> bool:
    """Returns True where a draw serves a whole batch: copies of an image have one answer, with each seed another.

    Args:
        answer: Answers whose draws are seeded by the global generators.
        images: A few images, among them such as it draws for.
    """
    for image in images:
        copies = image.expand(_COPIES, *image.shape)
        first, *others = (_asked(answer, copies, seed)[0] for seed in range(_SEEDS))
        if not all(same(found[:1].expand_as(found), found) for found in (first, *others)):
            return False
        if not all(same(first, other) for other in others):
            return True
    return False


def repeats(answer: Callable[[Tensor], Tensor], images: Tensor) -> bool:
    """Returns True where seeding the global generators repeats the answers, which were drawn from these."""
    (first, drew), (second, _) = (_asked(answer, images, 0) for _ in range(2))
    if not drew and images.device.type in ("cpu", "cuda"):  # whose generators' state is known
        return False  # a counter, a clock, a generator of its own
    return same(first, second)


def same(first: Tensor, other: Tensor, tolerance: float = _CLOSE) -> bool:
    """Returns True where two answers differ by no more than round-off, a share of the largest finite score."""
    if first.shape != other.shape or not torch.equal(first.isfinite(), other.isfinite()):
        return False
    scale = other[other.isfinite()].abs().max().item() if other.isfinite().any() else 0.0
    return torch.allclose(first, other, rtol=0, atol=tolerance * scale, equal_nan=True)


def _asked(answer: Callable[[Tensor], Tensor], images: Tensor, seed: int) -> tuple[Tensor, bool]:
    """The answers with the generators seeded, and True where one was drawn from."""
    with seeded(seed), torch.no_grad():
        before = global_state()
        found = answer(images.clone()).float()
        return found, global_state() != before
