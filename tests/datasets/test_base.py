"""The common part of all datasets: selections and hashes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from counteract.datasets import ArrayDataset

NAMES = ("cat", "dog")
PIXELS = torch.randint(0, 256, (8, 4, 6, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 1, 0, 1, 0, 0, 1])
DATA = ArrayDataset("mine", PIXELS, LABELS, NAMES)


def test_the_first_few() -> None:
    few = DATA.take(3)
    assert (len(few), few.name, few.class_names, few.image_shape) == (3, "mine", NAMES, (3, 4, 6))
    assert torch.equal(few.images, DATA.images[:3])
    assert torch.equal(few.labels, LABELS[:3])
    assert torch.equal(few.read(torch.tensor([2, 0])), DATA.images[[2, 0]])
    assert len(DATA.take(None)) == len(DATA.take(100)) == 8
    assert len(few.take(2)) == 2


@pytest.mark.parametrize("limit", [-3, 2.0, "3"])
def test_no_other_number_of_images_is_taken(limit: Any) -> None:
    with pytest.raises(ValueError, match="limit must be an integer of at least 0, found "):
        DATA.take(limit)


def test_rows_of_rows() -> None:
    found = DATA.select(torch.tensor([7, 2, 5, 0])).select(torch.tensor([2, 0]))
    assert torch.equal(found.images, DATA.images[[5, 7]])
    assert torch.equal(found.labels, LABELS[[5, 7]])


def test_a_hash_is_that_of_pixels_and_labels() -> None:
    digest = DATA.digest(2, 6)
    assert len(digest) == 64
    assert int(digest, 16)
    assert digest == ArrayDataset("another", PIXELS[2:].numpy(), LABELS[2:].numpy(), ["a", "b"]).digest(0, 4)
    assert digest == DATA.select(torch.arange(2, 8)).digest(0, 4)
    assert DATA.digest(2, 6) == DATA.take(6).digest(2, 6) == DATA.take(6).digest(2, 9)
    pixels, labels = PIXELS.clone(), LABELS.clone()
    pixels[5, 3, 5, 2] ^= 1
    labels[5] ^= 1
    others = [
        ArrayDataset("mine", pixels, LABELS, NAMES).digest(2, 6),
        ArrayDataset("mine", PIXELS, labels, NAMES).digest(2, 6),
        ArrayDataset("mine", PIXELS.flip(0), LABELS, NAMES).digest(2, 6),
        ArrayDataset("mine", PIXELS.view(8, 6, 4, 3), LABELS, NAMES).digest(2, 6),
        ArrayDataset("mine", DATA.images, LABELS, NAMES).digest(2, 6),
        DATA.digest(2, 5),
        DATA.digest(1, 6),
    ]
    assert len({digest, *others}) == 8
    assert ArrayDataset("mine", pixels, labels, NAMES).digest(0, 5) == DATA.digest(0, 5)


def test_floats_are_hashed_as_floats() -> None:
    images = DATA.images
    digest = ArrayDataset("mine", images, LABELS, NAMES).digest(0, 8)
    assert digest == ArrayDataset("mine", images.double().numpy(), LABELS, NAMES).digest(0, 8)
    assert digest != ArrayDataset("mine", images * (1 - 1e-7), LABELS, NAMES).digest(0, 8)


def test_images_are_the_same_however_they_are_kept() -> None:
    as_floats = ArrayDataset("floats", DATA.images[[3, 1]], LABELS[[3, 1]], NAMES)
    hashes = list(DATA.hashes())
    assert list(as_floats.hashes()) == [hashes[3], hashes[1]]
    assert len(set(hashes)) == 8
