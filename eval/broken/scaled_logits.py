"""Logits times ten thousand: the cross-entropy of a right answer is exactly zero, and so is its gradient.

Source: Carlini and Wagner 2016, on defensive distillation (Papernot et al. 2016), which trains such logits
Claimed: 99.5% on MNIST (M)
Known: the answers are those of the network, and so is its robustness
Broken by: a loss that no scale changes: the margin, DLR
"""

from __future__ import annotations

from torch import Tensor, nn


class Scaled(nn.Module):
    """A network with large logits."""

    def __init__(self, network: nn.Module, scale: float) -> None:
        super().__init__()
        self.network = network
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.scale * self.network(x)  # type: ignore[no-any-return]


def make(network: nn.Module, scale: float = 1e4) -> nn.Module:
    """The network with its logits times `scale`."""
    return Scaled(network, scale)
