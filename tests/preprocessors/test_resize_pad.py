"""Resize-pad against its definition, image by image."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from preprocessors.windows import assert_is, pad
from torch import Tensor

from counteract import RandomResizePad
from counteract.datasets import Dataset
from counteract.preprocessors._window import Window


def by_definition(image: Tensor, window: Window, index: int) -> Tensor:
    side = int(window.side[index])
    return pad(F.interpolate(image, size=(side, side), mode="nearest"), window, index, image.shape)


@pytest.mark.parametrize("size", [(22, 30), (1, 32), (32, 32)])
def test_every_image_against_the_definition(photos: Dataset, size: tuple[int, int]) -> None:
    assert_is(by_definition, RandomResizePad(size), photos.images)


def test_oblong_images_keep_their_shape(photos: Dataset) -> None:
    x = photos.images[:, :, :24]
    assert RandomResizePad((10, 20)).forward(x)[0].shape == x.shape


def test_a_side_equal_to_the_image_changes_nothing(photos: Dataset) -> None:
    torch.testing.assert_close(RandomResizePad((32, 32)).forward(photos.images)[0], photos.images)
