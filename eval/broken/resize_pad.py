"""A random size and a random place for the image, once a prediction.

Source: Xie et al., "Mitigating Adversarial Effects Through Randomization", ICLR 2018
Claimed: 86% on ImageNet (M)
Known: 0% on ImageNet at eps 0.031 (Athalye et al. 2018)
Broken by: EOT, gradients averaged over draws
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ResizePad(nn.Module):
    """Shrinks each image to a side of its own and pads it, at a place of its own, to its size."""

    def __init__(self, network: nn.Module, smallest: int) -> None:
        super().__init__()
        self.network = network
        self.smallest = smallest

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.network(torch.cat([self._moved(image) for image in x.split(1)]))  # type: ignore[no-any-return]

    def _moved(self, image: Tensor) -> Tensor:
        full = image.shape[-1]
        side = int(torch.randint(self.smallest, full + 1, ()))
        down, right = torch.randint(0, full - side + 1, (2,)).tolist()
        small = F.interpolate(image, size=(side, side), mode="nearest")
        return F.pad(small, (right, full - side - right, down, full - side - down))


def make(network: nn.Module, smallest: int = 26) -> nn.Module:
    """The network behind the layer; `smallest` is the smallest side in pixels."""
    return ResizePad(network, smallest)
