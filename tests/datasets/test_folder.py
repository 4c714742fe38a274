"""Folders of pictures, as torchvision's ImageFolder reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from datasets.painting import paint
from torchvision.datasets import ImageFolder
from torchvision.transforms import CenterCrop, Compose, PILToTensor, Resize

from counteract._errors import UserError
from counteract._preparation import Preparation
from counteract.datasets import Reading, load_dataset

CROPPED = Reading(Preparation(20, (16, 16), asked=True))

PREPARED = "pictures were resized to 20 on the shorter side (bilinear), cropped to 16 x 16"


def test_images_labels_and_names_are_torchvisions(tmp_path: Path) -> None:
    paint(tmp_path)
    theirs = ImageFolder(tmp_path, Compose([Resize(20), CenterCrop(16), PILToTensor()]))
    for workers in (0, 2):
        ours = load_dataset(f"folder:{tmp_path}", reading=Reading(CROPPED.preparation, workers))
        assert torch.equal(ours.images, torch.stack([image for image, _ in theirs]) / 255)
        assert ours.labels.tolist() == theirs.targets
        assert list(ours.class_names) == theirs.classes == ["bird", "cat", "dog"]
        assert ours.image_shape == (3, 16, 16)


def test_classes_in_an_order_and_by_names_of_ones_own(tmp_path: Path) -> None:
    paint(tmp_path)
    plain = load_dataset(f"folder:{tmp_path}", reading=CROPPED)
    (tmp_path / "classes.txt").write_text("\ufeffdog\tSheepdog, collie\nhorse\n\nbird\ncat\n", encoding="utf-8")
    found = load_dataset(f"folder:{tmp_path}", reading=CROPPED)
    assert found.class_names == ("Sheepdog, collie", "horse", "bird", "cat")
    order = {"bird": 2, "cat": 3, "dog": 0}
    assert sorted(found.labels.tolist()) == sorted(order[plain.class_names[label]] for label in plain.labels)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"dog\ncat\n", "lacks the folder 'bird': it must name every folder"),
        (b"dog\ncat\nbird\ncat\n", "names 'cat' twice"),
        (b"\xff\xfe\xff", "is no text"),
    ],
)
def test_a_list_of_classes_that_does_not_fit_is_refused(text: bytes, words: str, tmp_path: Path) -> None:
    paint(tmp_path)
    (tmp_path / "classes.txt").write_bytes(text)
    with pytest.raises(UserError, match=words):
        load_dataset(f"folder:{tmp_path}", reading=CROPPED)


def test_folders_that_hold_no_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no folder that can be read: No such file"):
        load_dataset(f"folder:{tmp_path / 'nothing'}")
    with pytest.raises(UserError, match="dataset folder: names no folder: write folder:DIR"):
        load_dataset("folder:")
    with pytest.raises(UserError, match="one for each class"):
        load_dataset(f"folder:{tmp_path}")
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "one.gif").write_bytes(b"GIF89a")
    with pytest.raises(UserError, match="holds no images: 1 files that are no pictures by their names were left out"):
        load_dataset(f"folder:{tmp_path}")


def test_hidden_files_are_nothing_and_others_are_said(tmp_path: Path) -> None:
    paint(tmp_path)
    expected = load_dataset(f"folder:{tmp_path}", reading=CROPPED)
    images = expected.images
    (tmp_path / "cat" / "._0.png").write_bytes(b"of another system")
    (tmp_path / ".cache").mkdir()
    assert load_dataset(f"folder:{tmp_path}", reading=CROPPED).notes == expected.notes == (PREPARED,)
    (tmp_path / "cat" / "notes.docx").write_bytes(b"")
    found = load_dataset(f"folder:{tmp_path}", reading=CROPPED)
    assert found.notes == ("1 files that are no pictures by their names were left out", PREPARED)
    assert torch.equal(found.images, images)
