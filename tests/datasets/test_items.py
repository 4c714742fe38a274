"""Items that are read one by one: here or by worker processes, the same, and never all at once."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets.painting import paint

from counteract._errors import UserError
from counteract._preparation import Preparation
from counteract._seeding import global_state
from counteract.datasets import ArrayDataset, Reading, load_dataset
from counteract.datasets.items import Items, read_items

CROP = Preparation(crop=(16, 16), asked=True)

BLOCK = 256

PREPARED = "pictures were cropped to 16 x 16"


class Numbers:
    """Twenty images of which each is its own index, and the indices that were read."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> Any:
        self.asked.append(index)
        return np.full((2, 3, 3), index, np.uint8), index % 3


class Odd(Numbers):
    """The same, one of which is something else."""

    def __init__(self, item: Any) -> None:
        super().__init__()
        self.item = item

    def __getitem__(self, index: int) -> Any:
        if index != 11:
            return super().__getitem__(index)
        if isinstance(self.item, Exception):
            raise self.item
        return self.item


class Restless(Numbers):
    """Images with noise that is drawn anew each time."""

    def __getitem__(self, index: int) -> Any:
        return torch.rand(3, 2, 3), index % 3


class Counted(Numbers):
    """A block of images, which all processes count together as they are read."""

    def __init__(self, read: Any) -> None:
        super().__init__()
        self.read = read

    def __len__(self) -> int:
        return BLOCK

    def __getitem__(self, index: int) -> Any:
        with self.read.get_lock():
            self.read.value += 1
        return super().__getitem__(index % 20)


@pytest.mark.parametrize("workers", [0, 3])
def test_what_is_asked_for_is_read_and_nothing_else(workers: int) -> None:
    source = Numbers()
    data = read_items(Items("mine", source), Reading(workers=workers), limit=12)
    assert len(data) == 12
    assert source.asked == ([] if workers else list(range(12)))
    source.asked.clear()
    rows = torch.tensor([7, 2, 2])
    few = data.select(torch.arange(1, 12))
    data.expect(rows)
    assert data.read(rows)[:, 0, 0, 0].mul(255).round().tolist() == [7, 2, 2]
    few.expect(torch.tensor([1]))  # of which nothing comes
    assert few.read(rows)[:, 0, 0, 0].mul(255).round().tolist() == [8, 3, 3]
    assert few.labels[rows].tolist() == [2, 0, 0]
    assert source.asked == ([] if workers else [7, 2, 2, 8, 3, 3])
    assert data.read(rows[:0]).shape == (0, 3, 2, 3)


def test_of_items_without_end_the_first_are_read() -> None:
    class Endless(Numbers):
        def __len__(self) -> int:
            return 2**62

    assert len(read_items(Items("mine", Endless()), Reading(), limit=3)) == 3


def test_a_block_that_is_expected_is_read_to_its_end_meanwhile() -> None:
    asked = multiprocessing.get_context("fork").Value("i", 0)
    data = read_items(Items("mine", Counted(asked)), Reading(workers=2))
    assert asked.value == BLOCK
    data.expect(torch.arange(BLOCK))
    until = time.monotonic() + 20
    while asked.value < 2 * BLOCK and time.monotonic() < until:
        time.sleep(0.01)
    assert asked.value == 2 * BLOCK


def test_a_hash_is_that_of_images_and_labels() -> None:
    items = Items("mine", Numbers())
    data = read_items(items, Reading())
    digest = data.digest(3, 7)
    assert digest == read_items(items, Reading(workers=2)).digest(3, 7) == data.take(8).digest(3, 7)
    assert digest == data.select(torch.arange(3, 9)).digest(0, 4)
    other = read_items(Items("mine", Odd((np.full((2, 3, 3), 11, np.uint8), 0))), Reading())
    assert other.digest(0, 11) == data.digest(0, 11)
    assert other.digest(0, 12) != data.digest(0, 12)
    assert len({digest, data.digest(3, 8), data.digest(2, 7)}) == 3


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("item", "words"),
    [
        (OSError("it is gone"), r"item 11 cannot be read \(OSError: it is gone\)"),
        ((np.zeros((2, 3, 3), np.uint8), 1.5), "item 11 .*label must be an integer, found float64"),
        ((np.zeros((2, 3, 3), np.uint8), [1, 2]), r"item 11 .*found int64 of shape \(2,\)"),
        (np.zeros((2, 3, 3), np.uint8), "item 11 .*a pair of an image and its label, found ndarray"),
        ((np.zeros((3, 3, 3), np.uint8), 1), r"item 0 is 2 x 3 x 3 \(uint8\), item 11 3 x 3 x 3.*--resize"),
        ((np.zeros((2, 3, 3), np.float32), 1), r"item 11 3 x 2 x 3 \(float32\): images must have one size and type"),
        ((np.zeros((2, 3, 3), np.uint8), -1), "labels run from -1 to 2"),
    ],
)
def test_one_item_that_is_none_is_one_line(item: Any, words: str, workers: int) -> None:
    with pytest.raises(UserError, match=words):
        read_items(Items("mine", Odd(item)), Reading(workers=workers))


def test_what_cannot_be_read_is_left_out_and_named_where_that_was_asked_for(tmp_path: Path) -> None:
    files = paint(tmp_path)
    expected = load_dataset(f"folder:{tmp_path}", reading=Reading(CROP)).images
    kept = sorted(files)
    for path, content in ((kept[2], b""), (kept[6], kept[6].read_bytes()[:200])):
        path.write_bytes(content)
    (tmp_path / "dog" / "link.png").symlink_to(tmp_path / "nothing")
    for workers in (0, 2):
        with pytest.raises(
            UserError,
            match=r"2\.png cannot be read .*, nor can 2 more; .* `audit` go on without, with --skip-unreadable",
        ):
            load_dataset(f"folder:{tmp_path}", reading=Reading(CROP, workers))
        warned: list[str] = []
        found = load_dataset(f"folder:{tmp_path}", reading=Reading(CROP, workers, True, warned.append))
        assert torch.equal(found.images, expected[[0, 1, 3, 4, 5, 7, 8]])
        assert found.labels.tolist() == [0, 0, 1, 1, 1, 2, 2]
        prepared, note = found.notes
        assert prepared == PREPARED
        assert note.startswith("3 images cannot be read and were left out: ")
        assert "bird/2.png (it is no picture" in note
        assert "dog/0.png (" in note
        assert "dog/link.png (it is no file)" in note
        assert warned == [f"dataset folder:{tmp_path}: {note}"]


def test_conversions_are_counted(tmp_path: Path) -> None:
    paint(tmp_path, modes=("RGB", "L", "L", "RGBA"))
    found = load_dataset(f"folder:{tmp_path}", reading=Reading(CROP, 2))
    assert found.notes == (
        PREPARED,
        "2 of 9 images had transparency, which was dropped",
        "4 of 9 images were greyscale, and made RGB",
    )
    assert found.take(2).notes == found.notes


def test_pictures_of_different_sizes_need_a_preparation(tmp_path: Path) -> None:
    paint(tmp_path)
    with pytest.raises(UserError, match=r"images must have one size and type: .* `evaluate` and `audit` have --resize"):
        load_dataset(f"folder:{tmp_path}")


@pytest.mark.parametrize("workers", [0, 2])
def test_images_that_are_others_each_time_are_refused(workers: int) -> None:
    data = read_items(Items("mine", Restless()), Reading(workers=workers))
    with pytest.raises(UserError, match=r"item 0 is another image than when it was read first.* random transforms"):
        data.read(torch.arange(20))


def test_a_file_that_changes_or_goes_meanwhile_is_one_line(tmp_path: Path) -> None:
    files = sorted(paint(tmp_path))
    data = load_dataset(f"folder:{tmp_path}", reading=Reading(CROP))
    files[0].write_bytes(files[1].read_bytes())
    files[2].unlink()
    with pytest.raises(UserError, match=r"0\.png is another image"):
        data.read(torch.tensor([1, 0]))
    with pytest.raises(UserError, match=r"2\.png cannot be read any more: it is no file"):
        data.read(torch.tensor([2]))


class Deadly(Numbers):
    """Images one of which ends its process."""

    def __getitem__(self, index: int) -> Any:
        import os

        if index == 15:
            os._exit(3)
        return super().__getitem__(index)


def test_a_worker_that_dies_is_one_line() -> None:
    with pytest.raises(UserError, match=r"dataset mine: a worker process ended .*try fewer --workers"):
        read_items(Items("mine", Deadly()), Reading(workers=2))


def test_nobody_elses_random_numbers_are_touched() -> None:
    before = global_state()
    read_items(Items("mine", Numbers()), Reading(workers=2)).read(torch.arange(20))
    assert global_state() == before


def test_names_of_classes() -> None:
    names = ("a", "b", "c")
    data = read_items(Items("mine", Numbers()), Reading())
    assert (data.class_names, data.with_classes(names).class_names) == ((), ("a", "b", "c"))
    with pytest.raises(UserError, match="labels run from 0 to 2 for 2 class_names"):
        data.with_classes(names[:2])
    with pytest.raises(UserError, match="labels run from 0 to 2 for 1 class_names"):
        read_items(Items("mine", Numbers(), ("a",)), Reading())


def test_images_are_those_of_another_source_whatever_their_labels() -> None:
    data = read_items(Items("mine", Numbers()), Reading())
    arrays = ArrayDataset("arrays", data.images, (data.labels + 1) % 3, ("a", "b", "c"))
    assert list(data.hashes()) == list(arrays.hashes())
    assert list(data.select(torch.tensor([3])).hashes()) == list(arrays.hashes())[3:4]
