"""Somebody else's network is used without a trace, and questions about it are answered."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract._errors import UserError
from counteract._network import borrowed, check_model, device_of, dtype_of, evaluating, folded


def half_frozen() -> TinyNet:
    """A network in training whose BatchNorm is frozen, and one bias."""
    net = TinyNet().train()
    net.norm.eval()
    net.head.bias.requires_grad_(False)
    return net


def state(net: nn.Module) -> list[bool]:
    return [module.training for module in net.modules()] + [each.requires_grad for each in net.parameters()]


def test_a_borrowed_network_is_in_eval_mode_and_frozen_and_goes_back_as_it_was(x: Tensor) -> None:
    net = half_frozen()
    before, buffers = state(net), {name: value.clone() for name, value in net.named_buffers()}
    with borrowed(net):
        assert not any(state(net))
        net(x)
    assert state(net) == before
    assert all(torch.equal(value, buffers[name]) for name, value in net.named_buffers())


def test_it_goes_back_after_an_error_too() -> None:
    net = half_frozen()
    before = state(net)
    with pytest.raises(KeyError), borrowed(net):
        raise KeyError
    assert state(net) == before


def test_borrowing_inside_of_borrowing_thaws_nothing() -> None:
    net = half_frozen()
    before = state(net)
    with borrowed(net):
        with borrowed(net):
            pass
        assert not any(state(net))
    assert state(net) == before


def test_dtype_and_device_are_those_of_the_parameters() -> None:
    assert dtype_of(TinyNet().double()) == torch.float64
    assert dtype_of(nn.ReLU()) == torch.float32
    assert device_of(TinyNet().to("meta")) == torch.device("meta")
    assert device_of(nn.BatchNorm2d(2, affine=False)) == torch.device("cpu")
    assert device_of(nn.ReLU()) is None


def test_something_else_is_no_network() -> None:
    check_model(TinyNet())
    with pytest.raises(UserError, match=r"network must be a torch\.nn\.Module .*, found dict .*from_art\(classifier\)"):
        check_model({}, "network")


def test_a_network_that_folds_is_folded_and_another_stays() -> None:
    class Folding(nn.Module):
        def folded(self) -> nn.Module:
            return nn.ReLU()

    net = TinyNet()
    assert folded(net) is net
    assert isinstance(folded(Folding()), nn.ReLU)


@pytest.mark.parametrize("use", [borrowed, evaluating])
def test_the_last_of_several_borrowers_puts_it_back(use: Any) -> None:
    net = half_frozen()
    before = state(net)
    first, second, third = use(net), use(net), use(net.norm)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not any(module.training for module in net.modules())
    third.__enter__()
    second.__exit__(None, None, None)
    assert state(net) == before if use is evaluating else net.training
    third.__exit__(None, None, None)
    assert state(net) == before


def test_threads_that_borrow_one_network_compute_in_eval_mode(x: Tensor) -> None:
    net = half_frozen()
    before, buffers = state(net), [value.clone() for value in net.buffers()]
    with borrowed(net):
        expected = net(x)

    def use(number: int) -> bool:
        with (borrowed if number % 2 else evaluating)(net), torch.no_grad():
            return torch.equal(net(x), expected) and not any(module.training for module in net.modules())

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(use, range(200)))
    assert state(net) == before
    assert all(torch.equal(value, old) for value, old in zip(net.buffers(), buffers, strict=True))


def test_a_network_that_is_evaluated_keeps_its_parameters() -> None:
    net = half_frozen()
    before = state(net)
    with evaluating(net):
        assert [parameter.requires_grad for parameter in net.parameters()] == before[4:]
        assert not any(module.training for module in net.modules())
    assert state(net) == before


def test_a_network_that_cannot_be_put_into_eval_mode_is_left_alone() -> None:
    class Stubborn(TinyNet):
        def eval(self) -> Stubborn:
            raise KeyError

    net = Stubborn().train()
    for _ in range(2):
        with pytest.raises(KeyError), borrowed(net):
            pass
    assert all(state(net))
