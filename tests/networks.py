"""Networks small enough for any test."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TinyNet(nn.Module):
    """A small smooth network with BatchNorm: its gradients have no kinks, so that finite differences hold."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.conv = nn.Conv2d(3, 6, 5, stride=2, padding=2)
        self.norm = nn.BatchNorm2d(6)
        self.head = nn.Linear(6 * 16, classes)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.5

    def forward(self, x: Tensor) -> Tensor:
        features = nn.functional.adaptive_avg_pool2d(torch.tanh(self.norm(self.conv(x))), 4)
        logits: Tensor = self.head(features.flatten(1))
        return logits
