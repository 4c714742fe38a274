"""ImageNet, as torchvision unpacks it: here a set of two classes in the same form."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from datasets.painting import paint
from torchvision.datasets import imagenet

from counteract._errors import UserError
from counteract._preparation import Preparation
from counteract.datasets import Reading, load_dataset


def test_the_validation_images_are_the_test_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint(tmp_path / "val")
    paint(tmp_path / "train", each=1)
    words = {"bird": ("robin", "redbreast"), "cat": ("tabby",), "dog": ("collie",)}
    torch.save((words, ["bird"]), tmp_path / imagenet.META_FILE)
    monkeypatch.setattr(imagenet, "check_integrity", lambda path, md5=None: Path(path).exists())
    reading = Reading(Preparation(20, (16, 16)))
    test, train = (load_dataset("imagenet", split, data_dir=tmp_path, reading=reading) for split in ("test", "train"))
    assert (len(test), len(train)) == (9, 3)
    assert test.class_names == ("bird, robin, redbreast", "cat, tabby", "dog, collie")
    assert test.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_where_it_is_not_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"imagenet is not in nowhere .*devkit.*--data-dir.*folder:DIR"):
        load_dataset("imagenet", data_dir=Path("nowhere"))
