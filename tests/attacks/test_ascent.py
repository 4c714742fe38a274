"""Ascent in steps of one size: the point that it keeps, and its bounds."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from attacks.searching import N, check_that_the_best_is_kept, objective
from torch import Tensor, nn

from counteract.attacks.apgd import apgd
from counteract.attacks.ascent import ascend
from counteract.attacks.losses import margin
from counteract.attacks.norms import NORMS
from counteract.attacks.objective import Objective
from counteract.datasets import Dataset


def test_the_point_of_the_highest_loss_is_kept() -> None:
    check_that_the_best_is_kept(ascend, 0.54, step_size=0.04)


def test_steps_are_of_the_norm(digits_net: nn.Module, digits: Dataset) -> None:
    images, given, norm = digits.images[:N], objective(digits_net, digits, margin), NORMS["L2"]
    points, values = ascend(given, images, images, eps=1.0, step_size=0.2, steps=3, norm=norm)
    sizes = norm.size(points - images)
    assert sizes.max() <= 0.6 + 1e-6
    assert sizes.max() > 0.4
    assert values.mean() > given.value(images, 0).mean() + 1


def three(images: Tensor, keys: Tensor) -> Tensor:
    """The first class wins but for 0.5 to 0.6, where the second does; the third grows all the way and never wins."""
    pixel = images.flatten(1)
    second = torch.where((pixel > 0.5) & (pixel < 0.6), 2.0, 0.0)
    return torch.cat([torch.ones_like(pixel), second, pixel], 1)


@pytest.mark.parametrize(("certain", "expected"), [(True, 0.58), (False, 0.70)])
def test_a_wrong_answer_is_kept_before_a_higher_loss_where_answers_are_certain(certain: bool, expected: float) -> None:
    labels, start = torch.zeros(1, dtype=torch.int64), torch.full((1, 1, 1, 1), 0.52)
    given = Objective([three], lambda scores, labels: scores[:, 2], labels, torch.arange(1), certain=certain)
    for search in (partial(ascend, step_size=0.03), apgd):
        points, values = search(given, start, start, eps=0.18, steps=6)
        assert float(three(points, labels).argmax()) == certain
        assert values.tolist() == points.flatten().tolist()
    points, _ = ascend(given, start, start, eps=0.18, step_size=0.03, steps=6)
    assert float(points) == pytest.approx(expected)


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
