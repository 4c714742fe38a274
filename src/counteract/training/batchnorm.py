"""BatchNorm over the batch of all processes, so that several of them compute what one would. Works on CPUs, too.

`torch.nn.SyncBatchNorm` refuses CPU tensors, and without a GPU it could not be tested.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from counteract.training.collective import mean_over_processes


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d whose training statistics are those of all processes; each must hold equally many examples."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalises `x`, by global batch statistics in training mode."""
        if not self.training:
            return super().forward(x)
        values = x.float()
        mean = mean_over_processes(values.mean((0, 2, 3)))
        centred = values - mean.view(1, -1, 1, 1)
        variance = mean_over_processes(centred.square().mean((0, 2, 3)))
        self._track(mean.detach(), variance.detach(), x.numel() // x.shape[1] * torch.distributed.get_world_size())
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(x.dtype)

    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Updates the running statistics as BatchNorm2d does: with the unbiased variance."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        momentum = 0.1 if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * count / (count - 1), momentum)
        self.num_batches_tracked += 1


def globalise(network: nn.Module) -> None:
    """Replaces every BatchNorm2d inside `network`, keeping parameters and buffers."""
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm2d):
            replacement = GlobalBatchNorm2d(child.num_features, eps=child.eps, momentum=child.momentum)
            replacement.load_state_dict(child.state_dict())
            replacement.training = child.training
            setattr(network, name, replacement)
        else:
            globalise(child)
