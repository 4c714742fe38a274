"""Networks that strangers' code is given and must leave as they are: what changes one is given a copy of its own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from counteract._errors import UserError, describe

Made = TypeVar("Made")

_PLAIN = (bool, int, float, complex, str, bytes)


def give(network: nn.Module, make: Callable[[nn.Module], Made], name: str) -> Made:
    """Calls a stranger's factory with a network, which is afterwards as it was.

    Most factories wrap the network. One that changes it, by a hook, another layer or other weights, is called again
    with a copy, or what is undefended would be defended, too.

    Args:
        network: The network.
        make: The factory.
        name: Its name, for the error.

    Raises:
        UserError: (a ValueError) it changes the network, and that cannot be copied.
    """
    before = _Snapshot(network)
    try:
        made = make(network)
        if not before.differs():
            return made
    except BaseException:
        before.put_back()
        raise
    before.put_back()
    try:
        own = copy.deepcopy(network)
    except Exception as error:
        raise UserError(
            f"{name} changes the network that it is given, of which there is no copying ({describe(error)}): what is "
            "undefended would change, too. Let it load a network of its own"
        ) from error
    return make(own)


@contextmanager
def as_it_was(network: nn.Module) -> Iterator[Callable[[], bool]]:
    """Puts a network back as it was; yields a function that returns True where its weights or buffers are others.

    Args:
        network: The network.
    """
    before = _Snapshot(network)
    try:
        yield before.is_changed
    finally:
        if before.differs():
            before.put_back()


class _Snapshot:
    """A network as it was: its modules' attributes, and the values of its parameters and buffers.

    Not the mode, which is set whenever the network is asked, and not `requires_grad`, likewise.

    Args:
        network: The network.
    """

    def __init__(self, network: nn.Module) -> None:
        self._attributes = [(module, _attributes(module)) for module in network.modules()]
        self._values = [(each, each.detach().clone()) for each in [*network.parameters(), *network.buffers()]]

    def differs(self) -> bool:
        """Returns True if the network is another one by now."""
        alike = all(_alike(_attributes(module), kept) for module, kept in self._attributes)
        return not alike or self.is_changed()

    def is_changed(self) -> bool:
        """Returns True if a parameter or a buffer has other values by now."""
        return not all(_equal(each, kept) for each, kept in self._values)

    def put_back(self) -> None:
        """Makes the network what it was."""
        for module, kept in self._attributes:
            own = vars(module)
            for name in own.keys() - kept.keys() - {"training"}:
                del own[name]
            own.update({name: _copied(value) for name, value in kept.items()})
        for each, value in self._values:
            if not _equal(each, value):
                each.data = value


def _attributes(module: nn.Module) -> dict[str, Any]:
    return {name: _copied(value) for name, value in vars(module).items() if name != "training"}


def _copied(value: Any) -> Any:
    """A container with the same contents; anything else as it is."""
    return copy.copy(value) if isinstance(value, (dict, list, set)) else value


def _alike(first: Any, other: Any) -> bool:
    """Returns True for the same thing, and for containers of the same things."""
    if first is other:
        return True
    if type(first) is not type(other):
        return False
    if isinstance(first, dict):
        return list(first) == list(other) and all(map(_alike, first.values(), other.values()))
    if isinstance(first, list):
        return len(first) == len(other) and all(map(_alike, first, other))
    return isinstance(first, (*_PLAIN, set)) and bool(first == other)


def _equal(first: Tensor, other: Tensor) -> bool:
    """Returns True for the same values, of the same dtype, on the same device."""
    if (first.shape, first.dtype, first.device) != (other.shape, other.dtype, other.device):
        return False
    return torch.equal(first.isnan(), other.isnan()) and torch.equal(first.nan_to_num(), other.nan_to_num())
