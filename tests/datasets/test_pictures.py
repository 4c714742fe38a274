"""Pictures, tensors and arrays as pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from counteract._errors import UserError
from counteract._preparation import Preparation
from counteract.datasets.pictures import open_picture, to_pixels

LEVELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
PICTURE = Image.fromarray(LEVELS)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_other_modes_are_converted_and_said_to_be(mode: str) -> None:
    picture = PICTURE.convert("L").convert(mode) if mode in ("1", "LA") else PICTURE.convert(mode)
    found = to_pixels(picture, None)
    assert found.pixels.shape == (5, 7, 3)
    assert np.array_equal(found.pixels, np.array(picture.convert("RGB")))
    (said,) = found.said
    assert "RGB" in said or "transparency" in said
    assert to_pixels(PICTURE, None).said == ()


def test_pictures_that_are_smaller_than_the_crop_are_said_to_be() -> None:
    assert to_pixels(PICTURE, Preparation(5, (6, 6), asked=True)).said == (
        "were smaller than the crop, and got black sides",
    )
    assert to_pixels(PICTURE, Preparation(6, (6, 6), asked=True)).said == ()


def test_pictures_that_a_viewer_would_turn_are_said_to_be(tmp_path: Path) -> None:
    plain, turned = Image.Exif(), Image.Exif()
    plain[0x0112], turned[0x0112] = 1, 6
    for exif, words in ((plain, []), (turned, ["taken as they are stored"]), (b"Exif\0\0damaged", [])):
        PICTURE.convert("L").save(tmp_path / "one.jpg", exif=exif, quality=100)
        picture = open_picture(tmp_path / "one.jpg")
        found = to_pixels(picture, None)
        assert np.array_equal(found.pixels, np.array(picture.convert("RGB")))
        assert all(word in said for word, said in zip([*words, "greyscale"], found.said, strict=True))


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_more_than_256_levels_are_refused(mode: str) -> None:
    with pytest.raises(UserError, match=f"its mode is {mode}, which has more than 256 levels"):
        to_pixels(Image.new(mode, (4, 4)), None)


def test_channels_first_and_last() -> None:
    first = LEVELS.transpose(2, 0, 1)
    for given in (torch.from_numpy(LEVELS), torch.from_numpy(first.copy()), LEVELS, first):
        assert np.array_equal(to_pixels(given, None).pixels, LEVELS)
        assert np.array_equal(to_pixels(given / np.float64(255), None).pixels, np.float32(first / 255))
    square = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    assert np.array_equal(to_pixels(square, None).pixels, square)
    assert np.array_equal(to_pixels(torch.from_numpy(square), None).pixels, square.transpose(1, 2, 0))
    assert to_pixels(LEVELS[..., 0], None).pixels.shape == (5, 7, 1)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (
            LEVELS.astype(np.float32),
            r"run from 0 to 2\d\d and must lie in \[0, 1\]: leave normalisation to the network",
        ),
        (np.full((3, 4, 4), np.nan, np.float32), "run from nan to nan"),
        (LEVELS.astype(np.int64), "must be uint8 or floating point, found int64"),
        (np.zeros((2, 4, 5), np.uint8), "one channel or three"),
        (np.zeros(4, np.uint8), "a height, a width and channels"),
        ("cat.png", "found str"),
    ],
)
def test_what_is_no_image_is_refused(image: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        to_pixels(image, None)


def test_a_preparation_is_for_pictures() -> None:
    own, asked = Preparation(crop=(4, 4)), Preparation(crop=(4, 4), asked=True)
    assert to_pixels(PICTURE, own).pixels.shape == (4, 4, 3)
    assert to_pixels(LEVELS, own).pixels.shape == (5, 7, 3)
    with pytest.raises(UserError, match="for pictures, and it is an array already"):
        to_pixels(LEVELS, asked)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.png")
    for name in ("pipe.png", "nothing.png", "."):
        with pytest.raises(UserError, match="it is no file"):
            open_picture(tmp_path / name)
