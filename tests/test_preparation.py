"""Preparation of pictures: the same as torchvision's own transforms."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

from counteract._errors import UserError
from counteract._preparation import Preparation, common

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8))


def test_it_is_torchvisions_resize_and_crop() -> None:
    theirs = Compose([Resize(32, InterpolationMode.BICUBIC), CenterCrop(28)])(PICTURE)
    ours = Preparation(32, (28, 28), "bicubic")(PICTURE)
    assert np.array_equal(np.array(ours), np.array(theirs))
    assert not np.array_equal(np.array(ours), np.array(Preparation(32, (28, 28))(PICTURE)))


def test_a_picture_may_be_squashed_or_left_as_it_is() -> None:
    assert Preparation((20, 30))(PICTURE).size == (30, 20)
    assert Preparation()(PICTURE) is PICTURE
    assert Preparation(crop=(10, 20))(PICTURE).size == (20, 10)


def test_a_picture_smaller_than_the_crop_gets_black_sides() -> None:
    for way, padded in ((Preparation(20, (24, 20)), True), (Preparation(20, (20, 28)), False), (Preparation(9), False)):
        assert way.pads(way.resized(PICTURE)) is padded
    assert not np.array(Preparation(20, (24, 20))(PICTURE))[:2].any()


def test_in_words() -> None:
    assert str(Preparation(256, (224, 224))) == "resized to 256 on the shorter side (bilinear), cropped to 224 x 224"
    assert str(Preparation((8, 9))) == "resized to 8 x 9 (bilinear)"
    assert str(Preparation()) == "as they are"


def test_several_networks_have_one_in_common_or_are_refused() -> None:
    one = Preparation(256, (224, 224))
    assert common({}) is None
    assert common({"a": one, "b": Preparation(256, (224, 224))}) == one
    with pytest.raises(UserError, match="model b wants its pictures cropped to 8 x 8, another one resized to 256"):
        common({"a": one, "b": Preparation(crop=(8, 8))})
