"""Ascent in steps of one size: the point that it keeps, and its bounds."""

from __future__ import annotations

import torch
from attacks.searching import check_that_the_best_is_kept
from torch import Tensor

from counteract.attacks.ascent import ascend, project


def test_the_point_of_the_highest_loss_is_kept() -> None:
    check_that_the_best_is_kept(ascend, 0.54, step_size=0.04)


def test_points_are_projected_into_the_ball_and_the_pixel_range(x: Tensor) -> None:
    far = x + torch.linspace(-1, 1, x.numel()).view_as(x)
    near = project(far, x, 0.05)
    assert (near - x).abs().max() <= 0.05 + 1e-6
    assert near.min() >= 0
    assert near.max() <= 1
    inside = (far - x).abs() < 0.05
    assert torch.equal(near[inside], far[inside])
