"""A network with a defence, as it is judged and attacked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from counteract._network import ask, borrowed
from counteract._seeding import draws_unkeyed, repeats, seeded, shares_draws
from counteract.attacks.straight import inner_network, straight
from counteract.attacks.victim import has_gradients, randomness, with_gradients
from counteract.defences import forward_passes
from counteract.defences.build import Shape
from counteract.evaluation.probe import Probe, ProbeStore, take_probe
from counteract.models.survey import probe_images
from counteract.whole import Defended, Patched, Through, WholeModule

_THROUGH = "without a useful gradient: attacks take that of the {} (BPDA)"
"""The words for attacks through a defence that has no gradient."""

_PATCHED = "without a useful gradient at some images: attacks take that of the {} there (BPDA)"
"""The words for attacks through a defence that has no gradient for some images."""

_SHARED = "one draw serves a whole batch of images, so that intervals are too narrow"
"""The words for a defence whose images do not draw for themselves, as intervals suppose."""

OVER = (
    "in backward passes attacks take these modules for the identity, or for their slopes over larger steps (BPDA): {}"
)
"""The words for attacks through modules that have no gradient of use."""


@dataclass(frozen=True)
class Judged:
    """A network with a defence.

    Attributes:
        name: The defence, as the tables name it.
        defended: The network with the defence, as it is judged.
        given: The same in the precision in which it is attacked.
        key: A hash of everything that can be read about it.
        stranger: True for a defence of somebody else, which nothing but its code and its answers tells apart.
        network: The network without the defence, or the surrogate, as it is attacked.
        surrogate: True for a surrogate, whose gradient is one of use where that of the network is none.
        words: The defence's parameters, for reports.
        shape: The shape of an image.
        device: The device that it is on.
        over: The paths of modules inside it that attacks take for the identity.
        shown: Groups of images by which it is seen if a stranger's defence draws, beside fixed ones: some draw for few.
    """

    name: str
    defended: Defended
    given: Defended
    key: str
    stranger: bool
    network: nn.Module
    surrogate: bool
    words: str
    shape: Shape
    device: torch.device
    over: tuple[str, ...] = ()
    shown: tuple[Tensor, ...] = ()

    @cached_property
    def executions(self) -> int:
        """The number of executions that one answer averages."""
        return self.defended.executions

    @cached_property
    def passes(self) -> int:
        """The cost of one defended prediction in forward passes."""
        return forward_passes(self.defended)

    @cached_property
    def random(self) -> tuple[bool, bool]:
        """Two answers: True where its answers depend on its keys; True where those parts do that run once per input."""
        found = [randomness(self.attacked, images) for images in (self._images, *self.shown)]
        return any(whole for whole, _ in found), any(once for _, once in found)

    @cached_property
    def unkeyed(self) -> bool:
        """True where a stranger's defence draws from global generators."""
        return self._drawn_for is not None

    @cached_property
    def _drawn_for(self) -> Tensor | None:
        """Images whose answers a stranger's defence draws; None where it was seen to draw none."""
        groups = (self._images, *self.shown) if self.stranger else ()
        return next((images for images in groups if draws_unkeyed(self._answer, images)), None)

    @cached_property
    def repeatable(self) -> bool:
        """False where seeding these does not repeat its answers."""
        return self._drawn_for is None or repeats(self._answer, self._drawn_for)

    def _answer(self, x: Tensor) -> Tensor:
        """Returns its answers to images whose keys are their numbers."""
        answers: Tensor = self.defended(x, torch.arange(len(x), device=self.device))
        return answers

    def describe(self) -> str:
        """Returns the defence's parameters and what else reports must say of it."""
        draws = (
            "its draws follow the block"
            if self.repeatable
            else "its draws are not repeated by seeds: another run differs"
        )
        found = [draws] * self.unkeyed
        found += [_SHARED] * (self._drawn_for is not None and shares_draws(self._answer, self._drawn_for))
        found += [OVER.format(", ".join(self.over))] * bool(self.over and self.stranger)
        if self.attacked is not self.straight:
            of = "surrogate" if self.surrogate else "undefended network"
            of = of if self._inner is None else f"network at {self._inner[0]} inside of it"
            found += [(_PATCHED if self.patched else _THROUGH).format(of)]
        return ", ".join(filter(None, [self.words, *found]))

    @cached_property
    def straight(self) -> Defended:
        """The network with the defence, where a backward pass takes some modules inside it for the identity."""
        return straight(self.given, self.over)

    @cached_property
    def attacked(self) -> Defended:
        """The network with the defence as attacks that know of it differentiate it.

        Where its answers have no gradient that is of use, it is that of the network under it: BPDA. So it is at those
        images alone where some have one.
        """
        if not (self.stranger or self.surrogate):
            return self.straight
        if self._has_gradients(self.straight):
            return WholeModule(Patched(self.straight, self._lender)) if self._has_gaps else self.straight
        through = WholeModule(Through(self.straight, self._lender))
        return through if self._has_gradients(through) else self.straight

    @property
    def inside(self) -> nn.Module | None:
        """The network inside of it whose gradient stands in; None where none does or that is the undefended one's."""
        return None if self.attacked is self.straight or self._inner is None else self._inner[1]

    @property
    def _lender(self) -> nn.Module:
        """The network whose gradient stands in where its own is of no use."""
        return self.network if self._inner is None else self._inner[1]

    @cached_property
    def _inner(self) -> tuple[str, nn.Module] | None:
        """Another network than the undefended one inside of a stranger's module, with its path, or None.

        It may have been trained for the defence.
        """
        if self.surrogate or not (self.stranger and isinstance(self.given, WholeModule)):
            return None
        images = torch.cat(self.shown or (self._images,))
        keys = torch.arange(len(images), device=self.device)
        found = inner_network(self.given.model, lambda: self.given(images, keys), images)
        return None if found is None or self._answers_as(found[1], images) else found

    def _answers_as(self, network: nn.Module, images: Tensor) -> bool:
        """Returns True for a network that answers as the undefended one, up to round-off."""
        with borrowed(network), borrowed(self.network), torch.no_grad():
            one, other = (ask(each, images).log_softmax(1) for each in (network, self.network))
        return one.shape == other.shape and torch.allclose(one, other, rtol=1e-2, atol=1e-2, equal_nan=True)

    @property
    def patched(self) -> bool:
        """True where attacks take another network's gradient at some images, and its own at others."""
        return self.attacked is not self.straight and self._has_gradients(self.straight)

    @cached_property
    def _has_gaps(self) -> bool:
        """True where some images have no gradient that is of use, and the other network has one."""
        for images in (self._images, *self.shown):
            keys = torch.arange(len(images), device=self.device)
            with borrowed(self.straight), seeded(0):
                none = ~with_gradients(partial(self._ask, self.straight, keys), images)
            if not none.any():  # as nearly always; a lender has to be looked for
                continue
            with borrowed(self._lender), seeded(0):
                if with_gradients(partial(ask, self._lender), images)[none].any():
                    return True
        return False

    @staticmethod
    def _ask(defended: Defended, keys: Tensor, images: Tensor) -> Tensor:
        answers: Tensor = defended(images, keys)
        return answers

    @cached_property
    def gradients(self) -> bool:
        """True where attacks get a gradient that is of use; through our own defences, where the network has one."""
        return not (self.stranger or self.surrogate) or self._has_gradients(self.attacked)

    def _has_gradients(self, defended: Defended) -> bool:
        keys = torch.arange(len(self._images), device=self.device)
        with borrowed(defended), seeded(0):
            return has_gradients(lambda x: defended(x, keys), self._images)

    def identity(self, store: ProbeStore) -> str:
        """Returns the hash by which its results are found; a stranger's is asked for its answers."""
        return store.settle(self.key, self._probe, f"defence {self.name}") if self.stranger else self.key

    @cached_property
    def _probe(self) -> Probe:
        with borrowed(self.defended):
            return take_probe(self._answer, self._images)

    @cached_property
    def _images(self) -> Tensor:
        return probe_images(self.shape).to(self.device)
