"""Datasets by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from counteract._errors import UserError
from counteract.datasets import DATASETS, load_dataset


def test_every_dataset_has_one_line_of_help() -> None:
    assert list(DATASETS) == [
        *("digits", "cifar10", "cifar100", "FILE.npz", "imagenet", "folder:DIR", "package.module:factory"),
        "DATASET-c:NAME:SEVERITY",
    ]
    for name, source in DATASETS.items():
        assert source.name == name
        assert 10 < len(source.help) < 110
        assert "\n" not in source.help


def test_a_typo_lists_near_names() -> None:
    with pytest.raises(ValueError, match=r"cifar1O.*did you mean cifar10"):
        load_dataset("cifar1O")
    with pytest.raises(ValueError, match=r"known: digits, cifar10, cifar100, FILE\.npz, imagenet, folder:DIR"):
        load_dataset("0")


def test_a_limit_is_a_number_of_images(tmp_path: Path) -> None:
    for name in ("digits", f"folder:{tmp_path}"):
        with pytest.raises(UserError, match="limit must be an integer of at least 0, found -1"):
            load_dataset(name, limit=-1)


def test_a_split_is_train_or_test(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="split must be 'train' or 'test', found 'val'"):
        load_dataset("digits", "val")  # type: ignore[arg-type]


def test_what_is_no_name_is_refused_and_a_path_is_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^name must be that of a dataset, or a path, found 3$"):
        load_dataset(3)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"none\.npz"):
        load_dataset(tmp_path / "none.npz")
