"""Ascent in steps of one size: the point that it keeps, and its bounds."""

from __future__ import annotations

import pytest
import torch
from attacks.searching import check_that_the_best_is_kept
from torch import Tensor

from counteract.attacks.ascent import ascend, project
from counteract.attacks.losses import margin
from counteract.attacks.objective import Objective


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


def pit(images: Tensor, keys: Tensor) -> Tensor:
    """No number in the left half of the way, where the search begins; from there on the second class wins more."""
    pixel = images.flatten(1)
    score = torch.where(pixel < 0.5, torch.nan, pixel)
    return torch.cat([1 - score, score], 1)


def test_a_start_that_is_no_number_is_kept_for_the_success_that_it_is() -> None:
    images = torch.tensor([0.45, 0.6]).view(2, 1, 1, 1)
    labels = torch.zeros(2, dtype=torch.int64)
    given = Objective([pit], margin, labels, torch.arange(2))
    points, values = ascend(given, images, images, eps=0.04, step_size=0.01, steps=4)
    assert points.flatten().tolist() == pytest.approx([0.45, 0.64])
    assert values.tolist() == pytest.approx([100, 0.28])


def test_a_step_onto_what_is_no_number_is_a_find() -> None:
    images = torch.full((1, 1, 1, 1), 0.52)
    given = Objective([pit], margin, torch.ones(1, dtype=torch.int64), torch.arange(1))
    points, values = ascend(given, images, images, eps=0.1, step_size=0.03, steps=3)
    assert float(points) == pytest.approx(0.49)
    assert values.tolist() == [100]
