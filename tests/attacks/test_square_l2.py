"""Square in L2 on a deterministic network, beside torchattacks'."""

from __future__ import annotations

import torch
import torchattacks
from attacks.searching import N, objective
from torch import nn

from counteract.attacks import Objective
from counteract.attacks.losses import margin
from counteract.attacks.norms import NORMS
from counteract.attacks.square_l2 import square_l2
from counteract.datasets import Dataset

WIDE, QUERIES = 4.0, 60
L2 = NORMS["L2"]


def test_it_raises_the_loss_within_the_ball_and_does_not_depend_on_the_batch(
    digits_net: nn.Module, digits: Dataset
) -> None:
    images, given, keys = digits.images[:N], objective(digits_net, digits, margin), torch.arange(N)
    few, _ = square_l2(given, images, keys, eps=WIDE, queries=5)
    many, values = square_l2(given, images, keys, eps=WIDE, queries=QUERIES)
    assert (L2.size(many - images) <= WIDE * (1 + 1e-6)).all()
    assert [float(many.min()), float(many.max())] == [0, 1]
    assert given.value(images, 0).mean() < given.value(few, 0).mean() < given.value(many, 0).mean() - 1
    torch.testing.assert_close(given.value(many, 0), values)
    part = Objective(given.networks, margin, given.labels[8:], keys[8:])
    torch.testing.assert_close(square_l2(part, images[8:], keys[8:], eps=WIDE, queries=QUERIES)[0], many[8:])


def test_it_breaks_about_as_many_as_torchattacks(digits_net: nn.Module, digits: Dataset) -> None:
    images, labels = digits.images[:N], digits.labels[:N]
    ours, _ = square_l2(objective(digits_net, digits, margin), images, torch.arange(N), eps=WIDE, queries=150)
    theirs = torchattacks.Square(digits_net, norm="L2", eps=WIDE, n_queries=150, seed=0)(images, labels)
    left = [int((digits_net(found).argmax(1) == labels).sum()) for found in (ours, theirs)]
    assert left[0] <= left[1] + 2
    assert left[0] < N - 4


def test_small_and_oblong_images(x: torch.Tensor) -> None:
    def bright(images: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        return torch.stack([images.mean((1, 2, 3)), -images.mean((1, 2, 3))], 1)

    for height, width in ((2, 2), (1, 7), (9, 4)):
        images = x[:, :, :height, :width].contiguous()
        given = Objective([bright], margin, torch.ones(6).long(), torch.arange(6))
        found, values = square_l2(given, images, torch.arange(6), eps=0.5, queries=30)
        assert found.isfinite().all()
        assert (L2.size(found - images) <= 0.5 * (1 + 1e-6)).all()
        assert values.mean() > given.value(images, 0).mean()
