"""Matrix estimation in the manner of ME-Net: pixels are dropped, and the image is filled in from few singular values.

The network is not trained on such images, as theirs is; the part of pixels that is dropped is small.

Source: Yang et al., "ME-Net: Towards Effective Adversarial Robustness with Matrix Estimation", ICML 2019
Claimed: 53 to 60% on CIFAR-10 at 8/255 with adversarial training (M)
Known: no better than adversarial training alone (Tramèr et al. 2020; M)
Broken by: BPDA, with the identity as the gradient of the estimation, and EOT
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Estimated(nn.Module):
    """Drops pixels, keeps the largest singular values of each channel, and asks the network."""

    def __init__(self, network: nn.Module, kept: float, rank: int) -> None:
        super().__init__()
        self.network = network
        self.kept = kept
        self.rank = rank

    def purify(self, x: Tensor) -> Tensor:
        """The images as the network receives them."""
        with torch.no_grad():
            mask = torch.rand_like(x[:, :1]) < self.kept
            left, values, right = torch.linalg.svd(x * mask / self.kept, full_matrices=False)
            values[..., self.rank :] = 0
            filled: Tensor = left @ (values.unsqueeze(-1) * right)
            return filled.clamp(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.network(self.purify(x))  # type: ignore[no-any-return]


def make(network: nn.Module, kept: float = 0.95, rank: int = 6) -> nn.Module:
    """The network behind the estimation."""
    return Estimated(network, kept, rank)
