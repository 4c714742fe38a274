"""Networks that bring their normalisation and the names of their classes."""

from __future__ import annotations

import torch
from networks import Returning, TinyNet
from torch import Tensor

from counteract._network import ask
from counteract._preparation import Preparation
from counteract.models import Normalize, PreparedNetwork


def test_it_normalises_and_hands_on_what_the_network_returns(x: Tensor, net: TinyNet) -> None:
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    network = PreparedNetwork(net, mean, std, preparation=Preparation(8), class_names=["a"], notes=["b"]).eval()
    assert torch.equal(network(x), net(Normalize(mean, std)(x)))
    assert (network.preparation, network.class_names, network.notes) == (Preparation(8), ("a",), ("b",))
    wrapped = PreparedNetwork(Returning("dict"), mean, std).eval()
    assert torch.equal(ask(wrapped, x), wrapped(x)["logits"])
