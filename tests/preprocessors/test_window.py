"""Windows: uniform sides and places, and the sizes that are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from counteract import RandomCropPad, RandomCropResize
from counteract.datasets import Dataset
from counteract.preprocessors._window import usual_size


def test_sides_and_places_are_uniform_and_both_ends_are_drawn(photos: Dataset) -> None:
    window = RandomCropPad((22, 30)).draw(torch.arange(18_000), photos.images[:1], None)
    assert torch.bincount(window.side, minlength=31)[22:].min() > 1800
    assert [window.side.min(), window.side.max()] == [22, 30]
    for offset in (window.top, window.left, window.pad_top, window.pad_left):
        smallest = offset[window.side == 22]
        assert [smallest.min(), smallest.max()] == [0, 10]
        assert (torch.bincount(smallest) / len(smallest) - 1 / 11).abs().max() < 0.03
        assert (offset + window.side).max() <= 32


def test_a_range_larger_than_the_image(photos: Dataset) -> None:
    with pytest.raises(ValueError, match="size reaches 33, but x has images of 32 x 32"):
        RandomCropResize((22, 33)).forward(photos.images)


def test_without_a_range_sides_are_the_papers_parts_of_the_image() -> None:
    for side, low, high in ((32, 22, 30), (28, 19, 26), (224, 154, 210), (8, 6, 8), (1, 1, 1)):
        assert usual_size(side, 2 * side) == usual_size(side, side) == (low, high)
        window = RandomCropResize().draw(torch.arange(4000), torch.zeros(1, 1, side, side), None)
        assert [window.side.min(), window.side.max()] == [low, high]
    images = torch.rand(4, 3, 32, 32)
    assert torch.equal(RandomCropPad(seed=0).forward(images)[0], RandomCropPad((22, 30), seed=0).forward(images)[0])


@pytest.mark.parametrize("size", [np.array([22, 30]), [np.int64(22), np.uint8(30)]])
def test_numpys_sides_are_sides(size: Any) -> None:
    assert RandomCropPad(size).size == (22, 30)


@pytest.mark.parametrize("size", [(0, 3), (5, 4), (3.0, 4), 7, (1, 2, 3), (True, 3)])
def test_wrong_sizes(size: object) -> None:
    with pytest.raises(ValueError, match="size must be a pair of integers"):
        RandomCropPad(size)  # type: ignore[arg-type]
