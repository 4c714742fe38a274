"""Somebody else's network is used without a trace, and questions about it are answered."""

from __future__ import annotations

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract._errors import UserError
from counteract._network import borrowed, check_model, device_of, dtype_of, folded


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
