"""Corrupted images: the official files where they are there, else those that a library makes of clean ones."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from counteract.datasets import CORRUPTIONS, ArrayDataset, Corrupted, Dataset, load_dataset
from counteract.datasets.corrupted import read_name

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype(np.uint8)


@pytest.fixture
def clean() -> Dataset:
    return ArrayDataset("mine", PIXELS, [0, 1] * 4, ["cat", "dog"])


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, object]]:
    """A library that adds noise from every global generator, and tells how it was called."""
    calls: list[tuple[str, int, object]] = []

    def corrupt(image: npt.NDArray[Any], *, corruption_name: str, severity: int, seed: int | None = None) -> Any:
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous
        calls.append((corruption_name, severity, seed))
        noise = np.random.randint(0, 40, image.shape) + random.randrange(5) + int(torch.randint(5, ()))
        return np.uint8(np.clip(image + noise * severity // 5, 0, 255))

    monkeypatch.setitem(sys.modules, "imagecorruptions", SimpleNamespace(corrupt=corrupt))
    monkeypatch.setattr("counteract.datasets.corrupted.version", lambda _: "9.9")
    return calls


def official_files(folder: Path) -> npt.NDArray[np.uint8]:
    """Writes files of RobustBench's layout, of which each image is of one colour; returns the colours."""
    folder.mkdir()
    colours = (np.arange(50_000) * 7 % 251).astype(np.uint8)
    np.save(folder / "fog.npy", np.broadcast_to(colours[:, None, None, None], (50_000, 32, 32, 3)))
    np.save(folder / "labels.npy", np.tile(np.arange(10_000) % 10, 5).astype(np.uint8))
    return colours


def test_names() -> None:
    assert read_name("cifar10-c:fog:3") == ("cifar10", "fog", 3)
    assert read_name("my/images.npz-c:jpeg_compression:1") == ("my/images.npz", "jpeg_compression", 1)
    assert read_name("cifar10") is None
    assert len(set(CORRUPTIONS)) == 15
    with pytest.raises(ValueError, match="corruption 'fig' is not known; did you mean fog"):
        load_dataset("cifar10-c:fig:3")
    for severity in ("0", "6", "mild", ""):
        with pytest.raises(ValueError, match=f"the severity must be 1 to 5, found '{severity}'"):
            load_dataset(f"cifar10-c:fog:{severity}")


@pytest.mark.parametrize("inside", [True, False])
def test_the_official_files_are_read_one_severity_at_a_time(tmp_path: Path, inside: bool) -> None:
    colours = official_files(tmp_path / "CIFAR-10-C")
    data = load_dataset("cifar10-c:fog:3", data_dir=tmp_path / "CIFAR-10-C" if inside else tmp_path)
    assert (data.name, len(data), data.image_shape, data.notes) == ("cifar10-c:fog:3", 10_000, (3, 32, 32), ())
    assert data.class_names[3] == "cat"
    rows = torch.tensor([9_999, 0, 17])
    assert (data.read(rows)[:, 0, 0, 0] * 255).round().tolist() == colours[20_000 + rows.numpy()].tolist()
    assert data.labels[rows].tolist() == [9, 0, 7]


def test_damaged_files_are_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "CIFAR-100-C"
    folder.mkdir()
    np.save(folder / "fog.npy", PIXELS)
    with pytest.raises(ValueError, match=r"labels\.npy cannot be read"):
        load_dataset("cifar100-c:fog:1", data_dir=tmp_path)
    np.save(folder / "labels.npy", np.zeros(50_000, np.uint8))
    with pytest.raises(ValueError, match=r"fog\.npy must hold 50,000 images of uint8"):
        load_dataset("cifar100-c:fog:1", data_dir=tmp_path)
    (folder / "fog.npy").write_bytes(b"no array")
    with pytest.raises(ValueError, match=r"fog\.npy cannot be read"):
        load_dataset("cifar100-c:fog:1", data_dir=tmp_path)


def test_images_made_here_say_so_and_depend_on_their_index_alone(
    clean: Dataset, library: list[tuple[str, int, object]]
) -> None:
    data = Corrupted(clean, "snow", 4)
    assert (
        "not the official files: snow, severity 4, was made of mine here, by imagecorruptions-imaug 9.9"
        in data.notes[0]
    )
    assert (data.name, data.num_classes) == ("mine-c:snow:4", 2)
    states = np.random.get_state(legacy=False)["state"]["key"].copy(), torch.get_rng_state()
    whole = data.images
    assert np.array_equal(states[0], np.random.get_state(legacy=False)["state"]["key"])
    assert torch.equal(states[1], torch.get_rng_state())
    assert torch.equal(data.images, whole)
    some = data.select(torch.tensor([5, 2]))
    assert torch.equal(some.read(torch.tensor([1, 0])), whole[[2, 5]])
    assert some.notes == data.notes
    noise = whole - clean.images
    assert not torch.equal(noise[2], noise[5])
    assert not torch.equal(Corrupted(clean, "frost", 4).images, whole)
    assert library[0] == ("snow", 4, None)
    assert len(data.take(0).images) == 0


def test_those_that_seed_themselves_are_seeded(clean: Dataset, library: list[tuple[str, int, object]]) -> None:
    _ = Corrupted(clean, "glass_blur", 1).images
    assert len({seed for _, _, seed in library}) == len(clean)
    assert all(isinstance(seed, int) for *_, seed in library)


def test_any_dataset_can_be_corrupted(library: list[tuple[str, int, object]], tmp_path: Path) -> None:
    data = load_dataset("digits-c:fog:2").take(3)
    assert data.images.shape == (3, 3, 32, 32)
    assert load_dataset("digits-c:fog:2", "train").name == "digits"
    np.savez(tmp_path / "own.npz", images=PIXELS, labels=np.zeros(8, int), class_names=["cat"])
    assert load_dataset(f"{tmp_path}/own.npz-c:fog:2").name == "own-c:fog:2"


def test_what_cannot_be_corrupted(clean: Dataset, library: list[tuple[str, int, object]]) -> None:
    with pytest.raises(ValueError, match="corruptions need images of 32 pixels a side"):
        Corrupted(ArrayDataset("small", PIXELS[:, :31], [0] * 8, ["cat"]), "fog", 1)
    with pytest.raises(ValueError, match="found 'fig' at 1"):
        Corrupted(clean, "fig", 1)


def test_a_missing_library_is_named(clean: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecorruptions", None)
    with pytest.raises(ValueError, match=r"imagecorruptions-imaug: it comes with the extra 'corruptions'"):
        Corrupted(clean, "fog", 1)


@pytest.mark.parametrize("name", [each for each in CORRUPTIONS if each != "glass_blur"])
def test_the_library_itself_where_it_is_installed(name: str, clean: Dataset) -> None:
    """But for glass, which takes a minute to compile."""
    pytest.importorskip("imagecorruptions")
    data = Corrupted(clean, name, 3)
    found = data.images
    assert torch.equal(data.read(torch.tensor([3, 1])), found[[3, 1]])
    assert (found - clean.images).abs().mean() > 0.01
