"""CIFAR through torchvision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from counteract.datasets import load_dataset


def test_a_failed_download_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", offline)
    with pytest.raises(ValueError, match=r"(?s)cifar10 could not be downloaded.*unreachable.*--data-dir.*\.npz"):
        load_dataset("cifar10", data_dir=tmp_path)


def test_torchvisions_copy_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3)).astype(np.uint8)

    class Fake:
        def __init__(self, root: str, train: bool, download: bool) -> None:
            assert (root, train, download) == (str(tmp_path), True, True)
            self.data, self.targets, self.classes = pixels, [0, 1, 0, 1, 0, 1], ["cat", "dog"]

    monkeypatch.setattr("torchvision.datasets.CIFAR10", Fake)
    data = load_dataset("cifar10", "train", data_dir=tmp_path)
    assert (data.name, len(data), data.class_names) == ("cifar10", 6, ("cat", "dog"))
    assert torch.equal(data.images, torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)


def test_real_cifar(cifar10: Path) -> None:
    data = load_dataset(str(cifar10))
    assert data.images.shape == (10_000, 3, 32, 32)
    assert data.class_names[data.labels[0]] == "cat"
    assert torch.bincount(data.labels).tolist() == [1000] * 10
