"""Rotation against Pillow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from counteract import RandomRotation
from counteract.datasets import Dataset


@pytest.mark.parametrize("degrees", [-20.0, -7.3, 0.0, 11.9, 20.0, 90.0])
def test_rotation_is_pillows(photos: Dataset, degrees: float) -> None:
    x = photos.images[:16]
    found = RandomRotation().apply(x, torch.full((16,), degrees, dtype=torch.float64))
    different = 0.0
    for image, turned in zip(x, found, strict=True):
        pixels = Image.fromarray((image.permute(1, 2, 0) * 255).round().byte().numpy())
        expected = np.asarray(pixels.rotate(degrees, Image.Resampling.NEAREST))
        different += float((expected != (turned.permute(1, 2, 0) * 255).round().byte().numpy()).mean())
    assert different / 16 < 0.005  # Pillow computes in fixed point: a pixel's centre may fall beyond an edge


def test_angles_are_uniform_in_both_directions(photos: Dataset) -> None:
    angles = RandomRotation(20.0).draw(torch.arange(10_000), photos.images[:1], None)
    assert angles.abs().max() < 20
    assert (torch.histc(angles.float(), 10, -20, 20) / 10_000 - 0.1).abs().max() < 0.015


def test_wrong_degrees() -> None:
    with pytest.raises(ValueError, match="degrees must be a number from 0 to 180"):
        RandomRotation(181)
