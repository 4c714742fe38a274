"""Stochastic activation pruning: each activation survives by a lottery in which large ones hold more tickets.

Source: Dhillon et al., "Stochastic Activation Pruning for Robust Adversarial Defense", ICLR 2018
Claimed: gains on CIFAR-10 at eps 0.031 (M)
Known: 0% there (Athalye et al. 2018)
Broken by: EOT, gradients averaged over draws
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from broken.surgery import with_layers


class Pruned(nn.Module):
    """ReLU, of whose values some are drawn, with replacement and in proportion to their size, and the others dropped.

    Those that survive are divided by their chance to, so that the mean is right.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """The survivors."""
        x = x.relu()
        flat = x.detach().flatten(1)
        ticket = flat / flat.sum(1, keepdim=True).clamp(min=1e-12)
        chance = (-(self.share * flat.shape[1]) * torch.log1p(-ticket.clamp(max=1 - 1e-6))).neg().exp().neg().add(1)
        kept = (torch.rand_like(chance) < chance) / chance.clamp(min=1e-12)
        return x * kept.view_as(x)


def make(network: nn.Module, share: float = 2.0) -> nn.Module:
    """The network with pruned activations; `share` is the number of draws of a layer over the number of its values."""
    return with_layers(network, nn.ReLU, lambda _: Pruned(share))
