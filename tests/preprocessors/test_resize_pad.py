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


def test_images_are_enlarged_as_in_the_original() -> None:
    x, defence = torch.rand(3, 1, 299, 299), RandomResizePad((310, 330), padded=331)
    window = defence.draw(torch.arange(3), x, None)
    found = defence.apply(x, window)
    assert found.shape == (3, 1, 331, 331)
    for index in range(3):
        side = int(window.side[index])
        assert 310 <= side <= 330
        small = F.interpolate(x[index : index + 1], size=(side, side), mode="nearest")
        torch.testing.assert_close(found[index : index + 1], pad(small, window, index, torch.Size((1, 1, 331, 331))))
    assert defence.describe() == "size 310-330, padded to 331"


def test_a_padded_side_below_the_images() -> None:
    with pytest.raises(ValueError, match="padded must be at least the side of the images, 32 x 32, found 31"):
        RandomResizePad((22, 30), padded=31).forward(torch.rand(2, 3, 32, 32))
    with pytest.raises(ValueError, match="padded must be an integer of at least 1, found 0"):
        RandomResizePad(padded=0)
