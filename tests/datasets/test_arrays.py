"""Datasets in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from counteract.datasets import ArrayDataset

NAMES = ("cat", "dog")
PIXELS = torch.randint(0, 256, (5, 4, 6, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 1, 0, 1])


def test_grey_levels_are_read_as_floats() -> None:
    data = ArrayDataset("mine", PIXELS, LABELS, NAMES)
    assert (len(data), data.num_classes, data.image_shape) == (5, 2, (3, 4, 6))
    expected = PIXELS.permute(0, 3, 1, 2).contiguous().float().div_(255)
    assert torch.equal(data.images, expected)
    rows = torch.tensor([4, 0, 4])
    assert torch.equal(data.read(rows), expected[rows])
    assert data.read(rows).is_contiguous()
    assert data.read(rows[:0]).shape == (0, 3, 4, 6)


def test_floats_are_read_as_they_are_and_copied() -> None:
    images = torch.rand(5, 3, 4, 6)
    data = ArrayDataset("mine", images, LABELS, NAMES)
    assert data.images.data_ptr() == images.data_ptr()
    block = data.read(torch.arange(2))
    assert torch.equal(block, images[:2])
    block.zero_()
    assert images[0].any()
    assert ArrayDataset("mine", images.double(), LABELS, NAMES).images.dtype == torch.float32


@pytest.mark.parametrize(
    "labels", [[0, 1, 1, 0, 1], np.array([0, 1, 1, 0, 1], np.uint8), np.array([1, 0, 1, 1, 0])[::-1], LABELS.int()]
)
def test_labels_of_any_kind_become_int64(labels: Any) -> None:
    data = ArrayDataset("mine", PIXELS.numpy(), labels, list(NAMES))
    assert data.labels.dtype == torch.int64
    assert torch.equal(data.labels, LABELS)
    assert data.class_names == NAMES


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": PIXELS[0]}, r"dataset mine: images of uint8 must be N x H x W x 3 .*found \(4, 6, 3\)"),
        ({"images": PIXELS.permute(0, 3, 1, 2)}, "must be N x H x W x 3"),
        ({"images": PIXELS.int()}, "must be uint8 or floating point, found torch.int32"),
        ({"images": PIXELS.permute(0, 3, 1, 2).float()}, "dataset mine: images has pixels outside"),
        ({"images": torch.full((5, 3, 4, 6), float("nan"))}, "dataset mine: images has NaN"),
        ({"labels": LABELS[:4]}, "labels must be 5 integers, found int64, \\(4,\\)"),
        ({"labels": LABELS.float()}, "labels must be 5 integers, found float32"),
        ({"labels": LABELS.bool()}, "labels must be 5 integers, found bool"),
        ({"labels": LABELS - 1}, "labels run from -1 to 0 for 2 class_names"),
    ],
)
def test_something_else_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ArrayDataset(**{"name": "mine", "images": PIXELS, "labels": LABELS, "class_names": NAMES} | change)
