"""RayS on a deterministic network."""

from __future__ import annotations

import torch
from attacks.searching import EPS, N, objective
from torch import nn

from counteract.attacks import Objective, draw_starts
from counteract.attacks.losses import wrong
from counteract.attacks.norms import NORMS
from counteract.attacks.rays import rays
from counteract.datasets import Dataset


def test_rays_finds_near_points_from_labels_alone(digits_net: nn.Module, digits: Dataset) -> None:
    images, labels, given = digits.images[:N], digits.labels[:N], objective(digits_net, digits, wrong)
    found = rays(given, images, eps=2 * EPS, queries=300)
    assert (found - images).abs().max() <= 2 * EPS + 1e-6
    assert (digits_net(images).argmax(1) == labels).float().mean() > 0.9
    assert (digits_net(found).argmax(1) == labels).float().mean() < 0.5
    noise = draw_starts(torch.arange(N), images, 2 * EPS)
    assert (digits_net(noise).argmax(1) == labels).float().mean() > 0.8
    part = Objective(given.networks, wrong, labels[8:], torch.arange(N)[8:])
    assert torch.equal(rays(part, images[8:], eps=2 * EPS, queries=300), found[8:])


def test_rays_in_l2_measures_distances_in_l2(digits_net: nn.Module, digits: Dataset) -> None:
    images, labels, given = digits.images[:N], digits.labels[:N], objective(digits_net, digits, wrong)
    norm, wide = NORMS["L2"], 4.0
    found = rays(given, images, eps=wide, queries=200, norm=norm)
    assert norm.size(found - images).max() <= wide * (1 + 1e-6)
    assert (digits_net(found).argmax(1) == labels).float().mean() < 0.5
    noise = draw_starts(torch.arange(N), images, wide, norm)
    assert (digits_net(noise).argmax(1) == labels).float().mean() > 0.8
    near = rays(given, images, eps=2.0, queries=200, norm=norm)
    assert norm.size(near - images).max() <= 2 * (1 + 1e-6)
