"""Means and rows that processes exchange, in two real ones."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from training.pair import in_two

from counteract.training.collective import gather_rows, mean_over_processes


def exchange(rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Returns a mean, the gradient of a process's own loss of it, and rows, of which one process's are transposed."""
    local = torch.tensor([1.0, 2.0]) + 4 * rank
    local.requires_grad_()
    mean = mean_over_processes(local)
    (mean * (rank + 1)).sum().backward()
    assert local.grad is not None
    rows = torch.arange(6).view(2, 3) if rank == 0 else torch.arange(6, 12).view(3, 2).T
    return mean.detach(), local.grad, gather_rows(rows)


def test_means_gradients_and_rows_are_those_of_all_processes(tmp_path: Path) -> None:
    for mean, gradient, rows in in_two(exchange, tmp_path):
        assert mean.tolist() == [3, 4]
        assert gradient.tolist() == [1.5, 1.5]  # of the sum of both losses, 1 and 2 times the mean
        assert rows.tolist() == [[0, 1, 2], [3, 4, 5], [6, 8, 10], [7, 9, 11]]


def test_without_other_processes_rows_are_ones_own() -> None:
    rows = torch.rand(2, 3)
    assert gather_rows(rows) is rows
