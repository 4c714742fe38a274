"""Memories are found where they change answers, and put back as they were."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, ClassVar

import numpy as np
import pytest
import remembering
import torch
from networks import TinyNet
from remembering import SEEN, remember
from torch import Tensor, nn

from counteract._errors import UserError
from counteract._keeping import check_memory

IMAGES = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def memory(thing: nn.Module, ask: Any = None) -> list[str]:
    """Returns the attributes that the refusal of a network names; none where it is not refused."""
    try:
        check_memory(thing, "model mine", ask or thing, IMAGES)
    except UserError as error:
        said = str(error)
        return said[said.index("(") + 1 : said.index("): the accuracy follows")].split(", ")
    return []


class Remembering(TinyNet):
    """A network that answers for a neighbour of an image that it knows what it answered then."""

    def __init__(self, memory: Any) -> None:
        super().__init__()
        self.memory, self.within = memory, 0.05
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Returns the logits."""
        return torch.cat([self.one(image) for image in x.split(1)])

    def one(self, image: Tensor) -> Tensor:
        """Returns those of one image."""
        known = [answer for each, answer in self.memory if (each - image).abs().max() < self.within]
        found: Tensor = known[0] if known else super().forward(image)
        self.memory.append((image, found))
        return found


class Deep:
    """An object that holds a memory."""

    def __init__(self) -> None:
        self.known: dict[str, list[Any]] = {"all": []}

    def __iter__(self) -> Any:
        return iter(self.known["all"])

    def append(self, pair: Any) -> None:
        self.known["all"].append(pair)


@pytest.mark.parametrize("container", [[], deque(), Deep()])
def test_a_memory_that_changes_answers_is_named_and_left_as_it_was(container: Any) -> None:
    net = Remembering(container)
    wrapped = nn.Sequential(nn.Identity(), net)
    with torch.no_grad():
        wrapped(1 - IMAGES)
    assert memory(wrapped) == ["1.memory"]
    assert len(list(net.memory)) == 16  # those, and the first question's
    net.within = 0.001  # closer than any neighbour that is asked about
    assert memory(wrapped) == []


class Banking(TinyNet):
    """A network that keeps images in a buffer, and answers by their number."""

    bank: Tensor

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.register_buffer("bank", torch.zeros(0, 3, 32, 32))
        self.weight = weight
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Returns the logits."""
        self.bank = torch.cat([self.bank, x])
        return super().forward(x) + self.weight * len(self.bank) * torch.eye(10)[0]


def test_a_buffer_is_a_memory_and_a_log_is_none() -> None:
    assert memory(net := Banking(1.0)) == ["bank"]
    assert memory(net := Banking(0.0)) == []
    assert len(net.bank) == 8


class Ring(TinyNet):
    """A network that writes the images that it was asked about last over older ones, and answers by what is there."""

    def __init__(self, kind: type[Tensor] | type[np.ndarray[Any, Any]], weight: float) -> None:
        super().__init__()
        self.ring: Any = torch.zeros(4, 3, 32, 32) if kind is Tensor else np.zeros((4, 3, 32, 32), np.float32)
        self.place, self.weight = 0, weight
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Returns the logits."""
        closest = min(float(abs(each - torch.as_tensor(known)).max()) for each in x for known in self.ring)
        for image in x.detach():
            self.ring[self.place % 4] = image if isinstance(self.ring, Tensor) else image.numpy()
            self.place += 1
        return super().forward(x) + self.weight * closest * torch.eye(10)[0]


@pytest.mark.parametrize("kind", [Tensor, np.ndarray])
def test_a_memory_of_a_fixed_size_is_one_and_is_put_back(kind: Any) -> None:
    for weight, found in ((1.0, ["place", "ring"]), (0.0, [])):
        net = Ring(kind, weight)
        assert sorted(memory(net)) == found
        assert torch.equal(torch.as_tensor(net.ring), IMAGES.flip(-2)[4:])  # the first question's
        assert net.place == 8


def test_draws_are_no_memory() -> None:
    class Logging(TinyNet):
        def __init__(self) -> None:
            super().__init__()
            self.log: list[Tensor] = []

        def forward(self, x: Tensor) -> Tensor:
            self.log.append(x)
            return super().forward(x + torch.randn_like(x))

    net = Logging().eval()
    assert memory(net) == []
    assert len(net.log) == 1


def test_a_network_without_any_is_asked_once() -> None:
    asked = []
    net = TinyNet().eval()

    def ask(images: Tensor) -> Tensor:
        asked.append(images)
        out: Tensor = net(images)
        return out

    assert memory(net, ask) == []
    assert len(asked) == 1


class OnClass(TinyNet):
    """A network that keeps images on its class, and answers for those before."""

    seen: ClassVar[list[Tensor]] = []
    count: ClassVar[int] = 0

    def forward(self, x: Tensor) -> Tensor:
        """Returns the logits."""
        OnClass.seen.append(x)
        OnClass.count += 1
        return super().forward(self.seen[max(OnClass.count - 2, 0)])


class InModule(TinyNet):
    """A network that keeps images in a module, by a function there."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns the logits."""
        return super().forward(remember(x))


def test_a_memory_on_a_class_or_in_a_module_is_found_and_left_as_it_was() -> None:
    for kind, named in ((OnClass, ["OnClass.count", "OnClass.seen"]), (InModule, ["SEEN"])):
        net = kind().eval()
        with torch.no_grad():
            net(IMAGES)
        before = len(OnClass.seen), OnClass.count, len(SEEN)
        assert sorted(memory(net)) == named
        after = len(OnClass.seen), OnClass.count, len(SEEN)
        assert [late - early for early, late in zip(before, after, strict=True)] == [kind is OnClass] * 2 + [
            kind is InModule
        ]  # the first question's


class Shared:
    """A helper that keeps images on its class."""

    seen: ClassVar[list[Tensor]] = []

    def __call__(self, x: Tensor) -> Tensor:
        """Keeps images, and returns those before."""
        self.seen.append(x)
        return self.seen[max(len(self.seen) - 2, 0)]


class Slotted:
    """A helper that keeps images in a slot."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last = torch.zeros(1)

    def __call__(self, x: Tensor) -> Tensor:
        """Keeps images, and returns those before."""
        before, self.last = self.last, x
        return before if before.shape == x.shape else x


class Local(threading.local):
    """A helper that keeps images in each thread."""

    last = torch.zeros(1)

    def __call__(self, x: Tensor) -> Tensor:
        """Keeps images, and returns those before."""
        before, self.last = self.last, x
        return before if before.shape == x.shape else x


@torch.no_grad()
def decorated(x: Tensor) -> Tensor:
    """Keeps images in its module."""
    return remember(x)


def elsewhere(x: Tensor) -> Tensor:
    """Keeps images in another module, and returns those before."""
    remembering.SEEN.append(x)
    return remembering.SEEN[max(len(remembering.SEEN) - 2, 0)]


class Helped(TinyNet):
    """A network with a helper, which keeps images."""

    def __init__(self, helper: Any) -> None:
        super().__init__()
        self.helper = helper

    def forward(self, x: Tensor) -> Tensor:
        """Returns the logits."""
        return super().forward(self.helper(x))


@pytest.mark.parametrize(
    ("helper", "named"),
    [
        (Shared(), ["Shared.seen"]),
        (Slotted(), ["helper"]),
        (Local(), ["helper"]),
        (decorated, ["SEEN"]),
        (lambda x: remembering.remember(x), ["SEEN"]),
        (elsewhere, ["SEEN"]),
    ],
    ids=["class", "slot", "thread", "decorated", "module's function", "module's global"],
)
def test_a_memory_of_a_helper_or_of_another_module_is_found(helper: Any, named: list[str]) -> None:
    net = Helped(helper).eval()
    with torch.no_grad():
        net(IMAGES)
    before = len(SEEN) + len(Shared.seen)
    assert sorted(set(memory(net))) == named
    assert len(SEEN) + len(Shared.seen) <= before + 1  # the first question's


def enclosing(kind: str) -> tuple[TinyNet, Any]:
    """Returns a network that answers for the images before, which a function of its own keeps, and what it keeps."""
    seen: list[Tensor] = []
    latest: Tensor | None = None

    class Enclosed(TinyNet):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x)
            return super().forward(seen[max(len(seen) - 2, 0)])

    class Rebinding(TinyNet):
        def forward(self, x: Tensor) -> Tensor:
            nonlocal latest
            before, latest = latest, x
            return super().forward(x if before is None else before)

    class Defaulting(TinyNet):
        def forward(self, x: Tensor, *, known: list[Tensor] = seen) -> Tensor:
            known.append(x)
            return super().forward(known[max(len(known) - 2, 0)])

    def remembering(x: Tensor) -> Tensor:
        remembering.last = x, getattr(remembering, "last", (x,))[0]  # type: ignore[attr-defined]
        return remembering.last[1]  # type: ignore[attr-defined,no-any-return]

    class Calling(TinyNet):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(remembering(x))

    net = {"closure": Enclosed, "variable": Rebinding, "default": Defaulting, "attribute": Calling}[kind]().eval()
    return net, {"variable": lambda: latest, "attribute": lambda: remembering.last[0]}.get(  # type: ignore[attr-defined]
        kind, lambda: seen[-1]
    )


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("closure", ["forward.seen"]),
        ("variable", ["forward.latest"]),
        ("default", ["forward.known"]),
        ("attribute", ["forward.remembering", "remembering.last"]),
    ],
)
def test_a_memory_of_a_function_is_found_and_left_as_it_was(kind: str, named: list[str]) -> None:
    net, kept = enclosing(kind)
    with torch.no_grad():
        net(IMAGES)
    assert sorted(memory(net)) == named
    assert torch.equal(kept(), IMAGES.flip(-2))  # the first question's


def test_a_memory_of_a_hook_is_found() -> None:
    net, seen = TinyNet().eval(), [torch.zeros(2)]

    def hook(module: nn.Module, given: Any, answer: Tensor) -> Tensor:
        seen.append(answer)
        return answer + seen[-2].std() * torch.eye(10)[0]

    net.head.register_forward_hook(hook)
    assert memory(net) == ["hook.seen"]


def test_what_takes_turns_is_found_where_images_go_one_by_one() -> None:
    class Turning(TinyNet):
        turn = 0

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([super(Turning, self).forward(self.turned(image)) for image in x.split(1)])

        def turned(self, image: Tensor) -> Tensor:
            self.turn += 1
            return image if self.turn % 2 else 1 - image

    assert memory(Turning().eval()) == ["turn"]


class Building(TinyNet):
    """A network whose class makes others."""

    @classmethod
    def built(cls) -> Building:
        return cls()


class Derived(Building):
    """Another one."""


def test_a_method_of_a_class_is_no_memory_and_stays_one() -> None:
    assert memory(Building().eval()) == []
    assert type(Derived.built()) is Derived
