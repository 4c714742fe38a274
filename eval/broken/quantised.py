"""Few grey levels inside of a module: its gradient is zero everywhere.

Source: Athalye, Carlini and Wagner, "Obfuscated Gradients Give a False Sense of Security", ICML 2018
Claimed: 46.7 to 52.5% by an audit of this project, where BPDA leaves 18%
Known: about that of the network alone
Broken by: BPDA, with the identity as the gradient of the rounding
"""

from __future__ import annotations

from torch import Tensor, nn


class Quantised(nn.Module):
    """A network of images in a few grey levels."""

    def __init__(self, network: nn.Module, levels: int) -> None:
        super().__init__()
        self.network = network
        self.levels = levels

    def purify(self, x: Tensor) -> Tensor:
        """The images as the network receives them."""
        return (x * (self.levels - 1)).round() / (self.levels - 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.network(self.purify(x))  # type: ignore[no-any-return]


def make(network: nn.Module, levels: int = 6) -> nn.Module:
    """The network behind the rounding."""
    return Quantised(network, levels)
