"""Accuracy during and after training: clean and under PGD, in percent, over every process's share of the images."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from counteract._folding import folded
from counteract._random import fold, key
from counteract._statistics import wilson
from counteract.datasets import Dataset
from counteract.training.adversary import attacked, predict

_BATCH = 250


def count_correct(fabric: Fabric, network: nn.Module, dataset: Dataset, *, eps: float = 0.0, steps: int = 0) -> int:
    """Returns the number of images that the network gets right, in eval mode, in the precision of the context.

    Args:
        fabric: The processes that share the work.
        network: Maps images to logits.
        dataset: The images and their true labels.
        eps: The radius of PGD, in units of pixels; its step is a quarter of that.
        steps: PGD's steps, from a random start on the true label; 0 leaves the images clean.
    """
    correct = torch.zeros((), dtype=torch.int64, device=fabric.device)
    mine = torch.arange(len(dataset))[fabric.global_rank :: fabric.world_size]
    for rows in torch.split(mine, _BATCH):
        x, y = dataset.read(rows).to(fabric.device), dataset.labels[rows].to(fabric.device)
        fast = folded(network, x)
        if steps:
            keys = fold(key(0, fabric.device), rows)
            x = attacked(fast, x, y, keys, eps=eps, step=eps / 4, steps=steps)
        correct += (predict(fast, x) == y).sum()
    total = fabric.all_reduce(correct, reduce_op="sum")
    assert isinstance(total, Tensor)
    return int(total)


def test_accuracy(fabric: Fabric, network: nn.Module, test_set: Dataset, eps: float) -> dict[str, float]:
    """Returns clean and PGD-20 accuracy in percent, with their Wilson 95% intervals; `eps` is in grey levels."""
    count = len(test_set)
    clean = count_correct(fabric, network, test_set)
    robust = count_correct(fabric, network, test_set, eps=eps / 255, steps=20)
    result: dict[str, float] = {"n": count, "eps": eps}
    for name, correct in (("clean", clean), ("pgd20", robust)):
        low, high = wilson(correct, count)
        result |= {
            name: 100 * correct / count,
            f"{name}_low": round(100 * low, 2),
            f"{name}_high": round(100 * high, 2),
        }
    return result
