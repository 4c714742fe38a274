"""Datasets: what comes out, and what a mistake says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from counteract.datasets import load_dataset


def arrays(n: int = 4) -> dict[str, Any]:
    images = np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3)).astype(np.uint8)
    return {"images": images, "labels": np.arange(n) % 2, "class_names": np.array(["cat", "dog"])}


def test_digits_are_disjoint_real_images() -> None:
    train, test = load_dataset("digits", "train"), load_dataset("digits", "test")
    assert (len(train), len(test)) == (1297, 500)
    assert test.images.shape == (500, 3, 32, 32)
    assert test.images.dtype == torch.float32
    assert [test.images.min(), test.images.max()] == [0, 1]
    assert torch.equal(test.images[:, 0], test.images[:, 2])
    assert not (train.images.flatten(1)[:, None, ::7] == test.images.flatten(1)[None, :50, ::7]).all(-1).any()
    assert set(test.labels.tolist()) == set(range(10))


def test_npz_round_trip(tmp_path: Path) -> None:
    content = arrays()
    np.savez(tmp_path / "mine.npz", **content)
    data = load_dataset(str(tmp_path / "mine.npz"))
    assert (data.name, data.class_names, data.num_classes) == ("mine", ("cat", "dog"), 2)
    assert torch.equal((data.images * 255).round().byte().permute(0, 2, 3, 1), torch.from_numpy(content["images"]))
    assert data.labels.tolist() == [0, 1, 0, 1]
    assert len(data.take(3)) == 3
    assert len(data.take(None)) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": None}, "lacks images"),
        ({"images": np.zeros((4, 32, 32, 3))}, "must be uint8"),
        ({"images": np.zeros((4, 3, 32, 32), np.uint8)}, "N x H x W x 3"),
        ({"labels": np.zeros(3, int)}, "must be 4 integers"),
        ({"labels": np.full(4, 2)}, "from 2 to 2 for 2 class_names"),
        ({"class_names": np.array(["a", None], object)}, "pickled"),
    ],
)
def test_malformed_npz(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    content = {key: value for key, value in (arrays() | change).items() if value is not None}
    np.savez(tmp_path / "bad.npz", **content)
    with pytest.raises(ValueError, match=message):
        load_dataset(str(tmp_path / "bad.npz"))


def test_damaged_and_missing_npz(tmp_path: Path) -> None:
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(ValueError, match="not a readable"):
        load_dataset(str(tmp_path / "torn.npz"))
    with pytest.raises(ValueError, match="is not a file"):
        load_dataset(str(tmp_path / "none.npz"))


def test_a_typo_lists_near_names() -> None:
    with pytest.raises(ValueError, match=r"cifar1O.*did you mean cifar10"):
        load_dataset("cifar1O")


def test_a_failed_download_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", offline)
    with pytest.raises(ValueError, match=r"(?s)cifar10 could not be downloaded.*unreachable.*--data-dir.*\.npz"):
        load_dataset("cifar10", data_dir=tmp_path)


def test_torchvisions_copy_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = arrays(6)

    class Fake:
        def __init__(self, root: str, train: bool, download: bool) -> None:
            assert (root, train, download) == (str(tmp_path), True, True)
            self.data, self.targets, self.classes = content["images"], content["labels"].tolist(), ["cat", "dog"]

    monkeypatch.setattr("torchvision.datasets.CIFAR10", Fake)
    data = load_dataset("cifar10", "train", data_dir=tmp_path)
    assert (data.name, len(data), data.class_names) == ("cifar10", 6, ("cat", "dog"))


def test_real_cifar(cifar10: Path) -> None:
    data = load_dataset(str(cifar10))
    assert data.images.shape == (10_000, 3, 32, 32)
    assert data.class_names[data.labels[0]] == "cat"
    assert torch.bincount(data.labels).tolist() == [1000] * 10
