"""A purification without its gradient: outliers are repaired under `no_grad`, other pixels pass as they are.

Source: this project, after a mistake that is easily made in a purification; code of test-time counterattacks has it
Claimed: more than the network alone under every attack that takes the module's own gradient
Known: the gradient misses each pixel that is repaired, and all that they do to others
Broken by: BPDA, with the identity as the gradient of the repair
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Repaired(nn.Module):
    """Pixels that differ from the median of their neighbourhood are replaced by it."""

    def __init__(self, network: nn.Module, tolerance: float) -> None:
        super().__init__()
        self.network = network
        self.tolerance = tolerance

    def purify(self, x: Tensor) -> Tensor:
        """The images as the network receives them."""
        with torch.no_grad():
            side = F.pad(x, [1] * 4, mode="replicate").unfold(2, 3, 1).unfold(3, 3, 1)
            median = side.flatten(-2).median(-1).values
        return torch.where((median - x).abs() > self.tolerance, median, x)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.network(self.purify(x))  # type: ignore[no-any-return]


def make(network: nn.Module, tolerance: float = 0.02) -> nn.Module:
    """The network behind the repair; `tolerance` is the difference that is none."""
    return Repaired(network, tolerance)
