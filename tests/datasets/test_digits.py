"""scikit-learn's digits."""

from __future__ import annotations

import torch

from counteract.datasets import load_dataset


def test_digits_are_disjoint_real_images() -> None:
    train, test = load_dataset("digits", "train"), load_dataset("digits", "test")
    assert (len(train), len(test)) == (1297, 500)
    assert test.images.shape == (500, 3, 32, 32)
    assert test.images.dtype == torch.float32
    assert [test.images.min(), test.images.max()] == [0, 1]
    assert torch.equal(test.images[:, 0], test.images[:, 2])
    assert not (train.images.flatten(1)[:, None, ::7] == test.images.flatten(1)[None, :50, ::7]).all(-1).any()
    assert set(test.labels.tolist()) == set(range(10))
