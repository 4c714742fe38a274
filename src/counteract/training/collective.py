"""Exchange between processes while they train: means that gradients flow through, and rows of a batch."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class _Mean(torch.autograd.Function):
    """The mean over processes; backward, every process's gradient of it is averaged, too."""

    @staticmethod
    def forward(_context: Any, local: Tensor) -> Tensor:
        return _averaged(local)

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        return _averaged(gradient)


def _averaged(local: Tensor) -> Tensor:
    total = local.clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()


def mean_over_processes(local: Tensor) -> Tensor:
    """The mean of every process's `local`, with its gradient."""
    mean: Tensor = _Mean.apply(local)
    return mean


def gather_rows(local: Tensor) -> Tensor:
    """The rows of all processes, in their order, without gradient; each must hold equally many."""
    if not dist.is_initialized():
        return local
    local = local.contiguous()
    rows = [torch.empty_like(local) for _ in range(dist.get_world_size())]
    dist.all_gather(rows, local)
    return torch.cat(rows)
