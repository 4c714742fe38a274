"""Square on a deterministic network."""

from __future__ import annotations

import torch
from attacks.searching import EPS, N, objective
from torch import nn

from counteract.attacks import Objective
from counteract.attacks.losses import margin
from counteract.attacks.square import square
from counteract.datasets import Dataset


def test_square_needs_no_gradient_and_raises_the_loss(digits_net: nn.Module, digits: Dataset) -> None:
    images, given = digits.images[:N], objective(digits_net, digits, margin)
    keys = torch.arange(N)
    few, _ = square(given, images, keys, eps=EPS, queries=5)
    many, values = square(given, images, keys, eps=EPS, queries=60)
    assert (many - images).abs().max() <= EPS + 1e-6
    assert [float(many.min()), float(many.max())] == [0, 1]
    clean = given.value(images, 0).mean()
    assert clean < given.value(few, 0).mean() < given.value(many, 0).mean() - 1
    torch.testing.assert_close(given.value(many, 0), values)
    part = Objective(given.networks, margin, given.labels[8:], keys[8:])
    torch.testing.assert_close(square(part, images[8:], keys[8:], eps=EPS, queries=60)[0], many[8:])
