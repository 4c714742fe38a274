"""Somebody else's attack run as one of ours: asking through an adapter, contained, its result checked."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from counteract import _random
from counteract._clamp import clamp
from counteract._errors import UserError, describe
from counteract._images import tensor_of
from counteract._network import ask, dtype_of, with_graph
from counteract._seeding import seeded
from counteract.attacks.gradients import both_borrowed
from counteract.attacks.libraries.names import Spelled
from counteract.attacks.norms import Name
from counteract.attacks.pgd import draw_targets
from counteract.attacks.preset import AttackPreset
from counteract.attacks.threat_model import ThreatModel
from counteract.attacks.victim import Victim

_STREAM = 4
"""The stream of an attacker's keys that such attacks draw from; the suite has 2, an audit's probes 3."""

Crafting = Callable[[Tensor, Tensor], object]
"""An attack that is ready: from images in [0, 1] and labels, those to leave or where it is targeted those to reach, to
what it returns for adversarial images."""


class AttackError(UserError):
    """A failure of somebody else's attack on a network, in one line: `attack NAME failed: REASON`."""

    @property
    def reason(self) -> str:
        """The reason."""
        return str(self).partition(" failed: ")[2]


class AttackWarning(UserWarning):
    """Something that must be said of an attack's result."""


@contextmanager
def heard() -> Iterator[list[str]]:
    """Collects what must be said of attacks' results, each once, and lets all other warnings pass."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as every:
        warnings.simplefilter("always", AttackWarning)
        yield said
    for each in every:
        if not issubclass(each.category, AttackWarning):
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno, source=each.source)
        elif str(each.message) not in said:
            said.append(str(each.message))


@dataclass(frozen=True)
class Situation:
    """Everything that somebody else's attack is made for.

    Attributes:
        network: The network as it may be asked: images to scores.
        threat_model: The bound on a change.
        num_classes: The number of classes.
        shape: The shape of an image.
        device: The device of the images.
        targeted: True where the labels are to be reached.
    """

    network: Oracle
    threat_model: ThreatModel
    num_classes: int
    shape: tuple[int, ...]
    device: torch.device
    targeted: bool


@dataclass(frozen=True)
class Recipe:
    """The way to make somebody else's attack.

    Attributes:
        help: One line about it.
        make: Makes it for a situation, with the arguments that the user gave.
        gradients: True if it uses gradients.
        targets: True if it has a targeted mode.
        bounded: The norms of threat models that its own bound follows; in others its results are projected.
        least_classes: The number of classes that it needs.
        origin: The library's version, or the code, that its results depend on.
        logger: The name of the logger whose warnings are to be passed on; empty for none.
    """

    help: str
    make: Callable[[Situation, Mapping[str, Any]], Crafting]
    gradients: bool
    targets: bool
    bounded: tuple[Name, ...]
    least_classes: int
    origin: object
    logger: str = ""


@dataclass(frozen=True)
class Foreign:
    """Somebody else's attack with the arguments of its name.

    Attributes:
        spelled: The name.
        recipe: The way to make it.
    """

    spelled: Spelled
    recipe: Recipe

    def check(self, network: nn.Module, threat_model: ThreatModel, num_classes: int, images: Tensor) -> None:
        """Makes the attack, without running it.

        Raises:
            UserError: (a ValueError) it cannot be made with such arguments, or lacks a package.
        """
        with seeded(0), _contained(f"attack {self.spelled.short} cannot be made", UserError):
            self._make(Oracle(network), threat_model, num_classes, images)

    def run(
        self, victim: Victim, images: Tensor, labels: Tensor, keys: Tensor, preset: AttackPreset, known: Tensor | None
    ) -> Tensor:
        """Attacks a batch: see `registry.Run`. The result lies in [0, 1], but may lie outside of the threat model.

        All draws are functions of the first image's key: they follow the batch. Rows at its end that repeat the last
        key are padding, and not attacked again.

        Raises:
            AttackError: the attack fails, or returns something else than as many images.
        """
        del preset, known
        name, root = self.spelled.short, _random.fold(keys[0], _STREAM)
        defended, seed = self.spelled.defended, int(root)
        asked = Oracle(victim.defended, root, seed) if defended else Oracle(victim.undefended, seed=seed)
        count = 1 + int((keys[1:] != keys[:-1]).sum())
        pixels, aims = images[:count].detach().clone(), labels[:count].clone()
        if self.spelled.targeted:
            aims = draw_targets(keys[:count], aims, victim.num_classes)
        contained = _contained(f"attack {name} failed", AttackError)
        with both_borrowed(victim), seeded(seed), _heard(self.recipe.logger) as said, contained:
            crafting = self._make(asked, victim.threat_model, victim.num_classes, images)
            found = _checked(crafting(pixels, aims), images[:count])
        for text in said:
            warnings.warn(f"attack {name} warns: {text}", AttackWarning, stacklevel=2)
        return torch.cat([found, found[-1:].expand(len(images) - count, -1, -1, -1)])

    def _make(self, asked: Oracle, threat_model: ThreatModel, num_classes: int, images: Tensor) -> Crafting:
        shape, targeted = tuple(images.shape[1:]), self.spelled.targeted
        situation = Situation(asked, threat_model, num_classes, shape, images.device, targeted)
        return self.recipe.make(situation, self.spelled.arguments)


class Oracle(nn.Module):
    """A network as somebody else's code asks it: images to logits, or to log-probabilities of a defended one.

    It has no training mode. A defended network draws afresh each time, and is asked about images in [0, 1] alone: it
    refuses others, which some attacks pass on their way. What the network makes of the global generators, which it may
    seed, is kept from the attack, whose own draws come from them.

    Args:
        network: The undefended network, or the defended one.
        root: The key, int64, shape (), that all draws of a defended network are made from; None for an undefended one.
        seed: The number by which the global generators are seeded anew for each question.

    Attributes:
        probabilities: True to answer with probabilities.
    """

    def __init__(self, network: nn.Module, root: Tensor | None = None, seed: int = 0) -> None:
        super().__init__()
        self.network = network
        self.training = False
        self.probabilities = False
        self._root, self._seed, self._times = root, seed, 0

    def train(self, mode: bool = True) -> Oracle:
        """Changes nothing."""
        del mode
        return self

    def forward(self, x: Tensor) -> Tensor:
        """The answers, in the dtype of the images; gradients come in their layout, which some code needs."""
        laid_out = x.flatten(1).view(x.shape)
        self._times += 1
        with seeded(self._seed, self._times):
            answers = with_graph(self._answers(laid_out.to(dtype_of(self.network))), x)
        return (answers.softmax(1) if self.probabilities else answers).to(x.dtype)

    def _answers(self, x: Tensor) -> Tensor:
        if self._root is None:
            return ask(self.network, x)
        keys = _random.fold(_random.fold(self._root, self._times), torch.arange(len(x), device=x.device))
        answers: Tensor = self.network(clamp(x, 0, 1), keys)
        return answers


def _checked(found: object, images: Tensor) -> Tensor:
    """Returns what an attack returned as images in [0, 1], of the kind that it was given.

    Raises:
        ValueError: it holds something else than as many images of floats, or a number that is not finite.
    """
    found = tensor_of(found) if isinstance(found, np.ndarray) else found
    if not isinstance(found, Tensor):
        raise ValueError(f"it returned {type(found).__name__} and not images")
    if not found.is_floating_point():
        raise ValueError(f"it returned pixels of {found.dtype}, where images have floats in [0, 1]")
    if found.shape != images.shape:
        raise ValueError(f"it returned shape {tuple(found.shape)} for images of shape {tuple(images.shape)}")
    found = found.detach().to(images)
    if not found.isfinite().all():
        raise ValueError("it returned pixels that are no finite numbers")
    return found.clamp(0, 1)


@contextmanager
def _contained(what: str, kind: type[UserError]) -> Iterator[None]:
    """Holds back what somebody else's code prints and warns of, and makes one line of its failure."""
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with torch.enable_grad():
                yield
    except (Exception, SystemExit) as error:
        said = str(error) if isinstance(error, UserError) else describe(error)
        raise kind(f"{what}: {said.rstrip('.')}") from error


@contextmanager
def _heard(name: str) -> Iterator[list[str]]:
    """Collects the warnings of a logger, each once."""
    said: list[str] = []

    class Hearing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = " ".join(record.getMessage().split()).rstrip(".")
            if text not in said:
                said.append(text)

    handler = Hearing(logging.WARNING)
    logger = logging.getLogger(name) if name else None
    try:
        if logger is not None:
            logger.addHandler(handler)
        yield said
    finally:
        if logger is not None:
            logger.removeHandler(handler)
