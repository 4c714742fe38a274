"""One-hot answers: neither scores nor a gradient.

Source: Athalye, Carlini and Wagner, "Obfuscated Gradients Give a False Sense of Security", ICML 2018
Claimed: 46.7 to 52.5% by an audit of this project, where BPDA leaves 18%
Known: the answers are those of the network, and so is its robustness
Broken by: transfer from the network under it
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class OneHot(nn.Module):
    """A network that says no more than the class."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """One for the class, zero for the others."""
        logits = self.network(x)
        return F.one_hot(logits.argmax(1), logits.shape[1]).to(x.dtype)


def make(network: nn.Module) -> nn.Module:
    """The network with one-hot answers."""
    return OneHot(network)
