"""Right answers, and the gradients of another network.

Source: this project, after a mistake that is easily made in a backward pass of one's own
Claimed: 35% where AutoAttack leaves 16.7%, and "sound" by an audit
Known: the answers are those of the network, and so is its robustness
Broken by: transfer from the network under it
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from counteract import load_model


class Misled(nn.Module):
    """The answers of one network with the derivatives of another."""

    def __init__(self, network: nn.Module, other: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.other = other

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        with torch.no_grad():
            answers: Tensor = self.network(x)
        scores: Tensor = self.other(x)
        return answers + (scores - scores.detach())


def make(network: nn.Module, other: str | None = None) -> nn.Module:
    """The network with the gradients of another, by its name; None for its own weights in another order."""
    if other is not None:
        return Misled(network, load_model(other))
    shuffled, generator = copy.deepcopy(network), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in shuffled.parameters():
            order = torch.randperm(weights.numel(), generator=generator).to(weights.device)
            weights.copy_(weights.flatten()[order].view_as(weights))
    return Misled(network, shuffled)
