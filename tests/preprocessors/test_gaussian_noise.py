"""Gaussian noise by its moments."""

from __future__ import annotations

import pytest
import torch

from counteract import GaussianNoise
from counteract.datasets import Dataset


def test_noise_has_its_standard_deviation_and_is_not_clipped(photos: Dataset) -> None:
    noisy, _ = GaussianNoise(0.1, seed=0).forward(photos.images)
    noise = noisy - photos.images
    assert noise.mean().abs() < 1e-3
    assert noise.std() == pytest.approx(0.1, rel=0.01)
    assert noisy.min() < 0
    assert noisy.max() > 1
    kurtosis = ((noise / noise.std()) ** 4).mean()
    assert kurtosis == pytest.approx(3, abs=0.1)
    assert torch.corrcoef(noise[:8].flatten(1))[~torch.eye(8, dtype=torch.bool)].abs().max() < 0.1


def test_noise_is_clipped_on_request(photos: Dataset) -> None:
    noisy, _ = GaussianNoise(0.1, clip_values=(0.0, 1.0), seed=0).forward(photos.images)
    assert [noisy.min(), noisy.max()] == [0, 1]
    assert not torch.equal(noisy, photos.images)


def test_a_wrong_deviation() -> None:
    with pytest.raises(ValueError, match="std must be"):
        GaussianNoise(-0.1)


def test_without_a_range_pixels_are_taken_for_those_of_0_to_1_and_any_may_be_asked_for() -> None:
    with pytest.raises(ValueError, match=r"std must be a number from 0 to 1, .*8 of 255 grey levels are 8/255"):
        GaussianNoise(8)
    noise = GaussianNoise(8, clip_values=None)
    assert noise.clip_values is GaussianNoise(1.0).clip_values is None
    with pytest.raises(ValueError, match="std must be a number from 0 to 1"):
        noise.set_params(clip_values=(0, 1))
    GaussianNoise(8, clip_values=(0, 255))
