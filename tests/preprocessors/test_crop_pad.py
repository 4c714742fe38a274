"""Crop-pad against its definition, image by image."""

from __future__ import annotations

import pytest
import torch
from preprocessors.windows import assert_is, crop, pad
from torch import Tensor

from counteract import RandomCropPad
from counteract.datasets import Dataset
from counteract.preprocessors._window import Window


def by_definition(image: Tensor, window: Window, index: int) -> Tensor:
    return pad(crop(image, window, index), window, index, image.shape)


@pytest.mark.parametrize("size", [(22, 30), (1, 32), (32, 32)])
def test_every_image_against_the_definition(photos: Dataset, size: tuple[int, int]) -> None:
    assert_is(by_definition, RandomCropPad(size), photos.images)


def test_oblong_images(photos: Dataset) -> None:
    assert_is(by_definition, RandomCropPad((10, 20)), photos.images[:, :, :24], every=9)


def test_a_side_equal_to_the_image_changes_nothing(photos: Dataset) -> None:
    torch.testing.assert_close(RandomCropPad((32, 32)).forward(photos.images)[0], photos.images)
