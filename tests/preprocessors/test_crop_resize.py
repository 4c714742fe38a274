"""Crop-resize against its definition, image by image."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from preprocessors.windows import assert_is, crop
from torch import Tensor

from counteract import RandomCropResize
from counteract.datasets import Dataset
from counteract.preprocessors._window import Window


def by_definition(image: Tensor, window: Window, index: int) -> Tensor:
    small = crop(image, window, index)
    return F.interpolate(small, size=image.shape[2:], mode="bilinear", align_corners=False)


@pytest.mark.parametrize("size", [(22, 30), (1, 32), (32, 32)])
def test_every_image_against_the_definition(photos: Dataset, size: tuple[int, int]) -> None:
    assert_is(by_definition, RandomCropResize(size), photos.images)


def test_oblong_images(photos: Dataset) -> None:
    assert_is(by_definition, RandomCropResize((10, 20)), photos.images[:, :, :24], every=9)


def test_a_side_equal_to_the_image_changes_nothing(photos: Dataset) -> None:
    torch.testing.assert_close(RandomCropResize((32, 32)).forward(photos.images)[0], photos.images)
