"""The precision in which a network computes."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from counteract._answers import logits_in

Precision = Literal["float32", "bf16"]


class _InBfloat16(nn.Module):
    """A network whose layers compute in bfloat16, where autocast has them do so; its images and logits stay float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.training = network.training

    def forward(self, x: Tensor) -> Tensor:
        """Returns the logits, float32."""
        with torch.autocast(x.device.type, torch.bfloat16):
            answer = self.network(x)
        return logits_in(answer, len(x))


def in_precision(network: nn.Module, precision: Precision) -> nn.Module:
    """The network, computing in the precision that is wanted; it shares its weights with the one given."""
    return network if precision == "float32" else _InBfloat16(network)
