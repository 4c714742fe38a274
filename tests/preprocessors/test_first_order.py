"""The common part of defences that move along gradients, in two of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from networks import TinyNet
from torch import Tensor, nn

from counteract import AntiAdversary, Counteraction, EnergyDescent, Hedge, from_art
from counteract import TestTimeCounterattack as Counterattack


@pytest.mark.parametrize("make", [Hedge, AntiAdversary, Counterattack, EnergyDescent])
def test_the_gradient_back_is_the_identity_and_the_network_is_left_as_it_was(
    make: Any, net: TinyNet, x: Tensor
) -> None:
    net.train()
    statistics = net.norm.running_mean
    assert statistics is not None
    before = statistics.clone()
    received = x.clone().requires_grad_()
    weights = torch.rand_like(x)
    (make(net, eps_step=0.01).forward(received)[0] * weights).sum().backward()
    assert received.grad is not None
    assert torch.equal(received.grad, weights)
    assert net.training
    assert torch.equal(statistics, before)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("make", [Hedge, AntiAdversary, Counterattack, EnergyDescent])
@pytest.mark.parametrize("options", [{"steps": 0}, {"eps_step": -1}, {"model": 3}])
def test_wrong_arguments(make: Any, net: nn.Module, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        make(**({"model": net} | options))


@pytest.mark.parametrize("make", [Counteraction, Hedge, AntiAdversary, Counterattack, EnergyDescent])
def test_of_an_art_classifier_it_asks_for_its_network(make: Any, net: nn.Module, x: Tensor) -> None:
    classifier = PyTorchClassifier(net, nn.CrossEntropyLoss(), (3, 32, 32), 10, preprocessing=(0.5, 0.25))
    with pytest.raises(ValueError, match=r"found PyTorchClassifier \(of an ART classifier, .*from_art\(classifier\)"):
        make(classifier)
    assert make(from_art(classifier)).forward(x)[0].shape == x.shape
