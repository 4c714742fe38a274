"""MeanSparse: features near their mean are set to it.

Source: Amini et al., "MeanSparse: Post-Training Robustness Enhancement Through Mean-Centered Feature
    Sparsification", 2024
Claimed: AutoAttack 72.08% on CIFAR-10 at 8/255 (RaWideResNet-70-16)
Known: 68.94% (RobustBench), which is about that of the network without it
Broken by: BPDA through the sparsifier, with the identity as its gradient
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from broken.surgery import with_layers
from counteract.datasets import Dataset


class Sparsified(nn.Module):
    """A convolution whose channels are flat around their mean: within `width` standard deviations of it.

    Of batch normalisation behind it this is the same before or after.
    """

    def __init__(self, convolution: nn.Module, width: float) -> None:
        super().__init__()
        self.convolution = convolution
        self.width = width
        self.mean: Tensor | None = None
        self.least: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """The features."""
        features: Tensor = self.convolution(x)
        if self.mean is None or self.least is None:  # the first batch is the one that it measures
            self.mean = features.mean((0, 2, 3), keepdim=True)
            self.least = self.width * features.std((0, 2, 3), keepdim=True)
            return features
        return torch.where((features - self.mean).abs() > self.least, features, self.mean)


def make(network: nn.Module, pool: Dataset, width: float = 0.5, images: int = 256) -> nn.Module:
    """The network with flat features, whose means are those of the first images of the pool."""
    made = with_layers(network, nn.Conv2d, lambda convolution: Sparsified(convolution, width)).eval()
    with torch.no_grad():
        made(pool.read(torch.arange(images)).to(next(network.parameters()).device))
    return made
