"""Crop-resize, resize-pad and crop-pad: each against its definition, image by image."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from counteract import RandomCropPad, RandomCropResize, RandomResizePad
from counteract.datasets import Dataset
from counteract.preprocessors._window import RandomWindow, Window

KEYS = torch.arange(64)


def crop(image: Tensor, window: Window, index: int) -> Tensor:
    side, top, left = (int(value[index]) for value in window[:3])
    return image[:, :, top : top + side, left : left + side]


def pad(small: Tensor, window: Window, index: int, shape: torch.Size) -> Tensor:
    top, left = int(window.pad_top[index]), int(window.pad_left[index])
    big = torch.zeros(shape)
    big[:, :, top : top + small.shape[2], left : left + small.shape[3]] = small
    return big


def by_definition(defence: RandomWindow, image: Tensor, window: Window, index: int) -> Tensor:
    if isinstance(defence, RandomCropResize):
        small = crop(image, window, index)
        return F.interpolate(small, size=image.shape[2:], mode="bilinear", align_corners=False)
    if isinstance(defence, RandomResizePad):
        side = int(window.side[index])
        return pad(F.interpolate(image, size=(side, side), mode="nearest"), window, index, image.shape)
    return pad(crop(image, window, index), window, index, image.shape)


@pytest.mark.parametrize("kind", [RandomCropResize, RandomResizePad, RandomCropPad])
@pytest.mark.parametrize("size", [(22, 30), (1, 32), (32, 32)])
def test_every_image_against_the_definition(photos: Dataset, kind: type[RandomWindow], size: tuple[int, int]) -> None:
    defence, x = kind(size), photos.images
    window = defence.draw(KEYS, x, None)
    found = defence.apply(x, window)
    for index in range(len(x)):
        expected = by_definition(defence, x[index : index + 1], window, index)
        torch.testing.assert_close(found[index : index + 1], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", [RandomCropResize, RandomResizePad, RandomCropPad])
def test_oblong_images(photos: Dataset, kind: type[RandomWindow]) -> None:
    defence, x = kind((10, 20)), photos.images[:, :, :24]
    window = defence.draw(KEYS, x, None)
    if kind is not RandomResizePad:  # which resizes to a square
        for index in range(0, 64, 9):
            expected = by_definition(defence, x[index : index + 1], window, index)
            torch.testing.assert_close(defence.apply(x, window)[index : index + 1], expected, atol=1e-5, rtol=0)
    assert defence.apply(x, window).shape == x.shape


def test_sides_and_places_are_uniform_and_both_ends_are_drawn(photos: Dataset) -> None:
    window = RandomCropPad((22, 30)).draw(torch.arange(18_000), photos.images[:1], None)
    assert torch.bincount(window.side, minlength=31)[22:].min() > 1800
    assert [window.side.min(), window.side.max()] == [22, 30]
    for offset in (window.top, window.left, window.pad_top, window.pad_left):
        smallest = offset[window.side == 22]
        assert [smallest.min(), smallest.max()] == [0, 10]
        assert (torch.bincount(smallest) / len(smallest) - 1 / 11).abs().max() < 0.03
        assert (offset + window.side).max() <= 32


def test_a_side_equal_to_the_image_changes_nothing(photos: Dataset) -> None:
    for kind in (RandomCropResize, RandomResizePad, RandomCropPad):
        torch.testing.assert_close(kind((32, 32)).forward(photos.images)[0], photos.images)


def test_a_range_larger_than_the_image(photos: Dataset) -> None:
    with pytest.raises(ValueError, match="size reaches 33, but x has images of 32 x 32"):
        RandomCropResize((22, 33)).forward(photos.images)


@pytest.mark.parametrize("size", [(0, 3), (5, 4), (3.0, 4), 7, (1, 2, 3), (True, 3)])
def test_wrong_sizes(size: object) -> None:
    with pytest.raises(ValueError, match="size must be a pair of integers"):
        RandomCropPad(size)  # type: ignore[arg-type]
