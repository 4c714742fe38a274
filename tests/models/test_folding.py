"""Folded batch normalisation: the same function, and the network it was made from as it was."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from counteract._network import folded
from counteract.models.resnet import ARCHITECTURES


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_it_computes_the_same(name: str) -> None:
    torch.manual_seed(0)
    network = ARCHITECTURES[name](num_classes=10, width=8, mean=(0.5,) * 3, std=(0.25,) * 3).double()
    x = torch.rand(4, 3, 32, 32, dtype=torch.float64)
    network(x)  # in train mode, so that the running statistics are not those of a new network
    network.eval()
    before = copy.deepcopy(network.state_dict())
    fast = folded(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())
    assert folded(fast) is fast
    assert torch.allclose(fast(x), network(x), rtol=0, atol=1e-10)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_gradients_are_the_same(digits_net: nn.Module, x: torch.Tensor) -> None:
    gradients = []
    for network in (digits_net, folded(digits_net)):
        received = x.clone().requires_grad_()
        gradients.append(torch.autograd.grad(network(received).logsumexp(1).sum(), received)[0])
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-3, atol=1e-6)


def test_another_network_comes_back_as_it_is() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    assert folded(network) is network
