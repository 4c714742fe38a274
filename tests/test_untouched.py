"""Networks that strangers' factories are given: left as they were."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract._errors import UserError
from counteract._untouched import give


def hook(net: TinyNet) -> None:
    net.norm.register_forward_hook(lambda module, given, made: made * 0)


def replace(net: TinyNet) -> None:
    net.norm = nn.Identity()  # type: ignore[assignment]


def add(net: TinyNet) -> None:
    net.extra = nn.Linear(1, 1)


def patch(net: TinyNet) -> None:
    net.forward = lambda x: x.flatten(1)[:, :10]  # type: ignore[method-assign]


def scale(net: TinyNet) -> None:
    net.head.weight.data.mul_(-1)


def exchange(net: TinyNet) -> None:
    net.head.weight.data = torch.zeros(3, 96)


def forget(net: TinyNet) -> None:
    assert net.norm.running_mean is not None
    net.norm.running_mean.fill_(5)


def halve(net: TinyNet) -> None:
    net.half()


def set_attribute(net: TinyNet) -> None:
    net.norm.eps = 10.0


def drop(net: TinyNet) -> None:
    del net.norm


CHANGES = [hook, replace, add, patch, scale, exchange, forget, halve, set_attribute, drop]


@pytest.mark.parametrize("change", CHANGES)
def test_a_factory_that_changes_the_network_gets_a_copy(change: Callable[[TinyNet], None], x: Tensor) -> None:
    net, twin = TinyNet().eval(), TinyNet().eval()
    before, names = net(x), [name for name, _ in net.named_modules()]
    given: list[nn.Module] = []

    def make(network: nn.Module) -> nn.Module:
        assert isinstance(network, TinyNet)
        given.append(network)
        change(network)
        return network

    made = give(net, make, "defence it")
    assert made is given[1] is not net
    assert given[0] is net
    assert torch.equal(net(x), before)
    assert [name for name, _ in net.named_modules()] == names
    assert not net.norm._forward_hooks
    assert all(torch.equal(one, other) for one, other in zip(net.parameters(), twin.parameters(), strict=True))


def wrap(net: nn.Module) -> nn.Module:
    return nn.Sequential(nn.AvgPool2d(3, 1, 1), net)


def freeze(net: nn.Module) -> nn.Module:
    return net.requires_grad_(False).train()


def ask(net: nn.Module) -> nn.Module:
    net(torch.zeros(2, 3, 32, 32))
    return net


@pytest.mark.parametrize("make", [wrap, freeze, ask])
def test_a_factory_that_leaves_it_as_it_is_gets_the_network_itself(make: Callable[[nn.Module], nn.Module]) -> None:
    net = TinyNet().eval()
    net.head.bias.data[0] = torch.nan
    found = give(net, make, "defence it")
    assert net in list(found.modules())


def test_a_factory_that_fails_leaves_it_as_it_is(x: Tensor) -> None:
    net = TinyNet().eval()
    before = net(x)

    def make(network: nn.Module) -> nn.Module:
        scale(net)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        give(net, make, "defence it")
    assert torch.equal(net(x), before)


class Single(TinyNet):
    """A network of which there is one."""

    def __deepcopy__(self, memo: dict[int, object]) -> Single:
        raise TypeError("there is one")


def test_what_cannot_be_copied_is_refused(x: Tensor) -> None:
    net = Single().eval()
    before = net(x)
    with pytest.raises(UserError, match=r"^defence it changes the network .* no copying \(TypeError: there is one\)"):
        give(net, scale, "defence it")  # type: ignore[arg-type]
    assert torch.equal(net(x), before)
