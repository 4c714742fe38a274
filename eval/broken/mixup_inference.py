"""Mixup inference (MI-OL): the mean answer to mixtures with images of other classes than the predicted one.

Source: Pang, Xu and Zhu, "Mixup Inference: Better Exploiting Mixup to Defend Adversarial Attacks", ICLR 2020
Claimed: 33.0 to 57.7% on CIFAR-10 at 8/255 under oblivious PGD (M)
Known: no better than the network under it (Tramèr et al. 2020)
Broken by: PGD of fifty steps through the mean of fifteen mixtures
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from counteract.datasets import Dataset


class Mixed(nn.Module):
    """The logarithm of the mean probability of `executions` mixtures."""

    def __init__(self, network: nn.Module, images: Tensor, labels: Tensor, weight: float, executions: int) -> None:
        super().__init__()
        self.network = network
        self.images = images
        self.labels = labels
        self.weight = weight
        self.executions = executions

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities."""
        with torch.no_grad():
            predicted = self.network(x).argmax(1).cpu()
        others = (self.labels.unsqueeze(0) != predicted.unsqueeze(1)).float()
        total = torch.zeros((), device=x.device)
        for rows in torch.multinomial(others, self.executions, replacement=True).t():
            mixed = self.weight * x + (1 - self.weight) * self.images[rows].to(x.device)
            total = total + self.network(mixed).softmax(1)
        return (total / self.executions).clamp(min=1e-12).log()


def make(network: nn.Module, pool: Dataset, weight: float = 0.6, executions: int = 15) -> nn.Module:
    """The network behind mixtures with the first thousand images of the pool."""
    rows = torch.arange(min(1000, len(pool)))
    return Mixed(network, pool.read(rows), pool.labels[rows], weight, executions)
