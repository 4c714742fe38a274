"""`counteract train`: what a person types, and the one line for a mistake."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from counteract.cli import main
from counteract.models import read_card

TINY = 'epochs = 1\nbatch_size = 16\nlr = 0.01\nschedule = "one-cycle"\nvalidation = 8\n'


def call(*arguments: str) -> int:
    """Runs the command line; returns its exit code."""
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.fixture
def tiny(tmp_path: Path) -> list[str]:
    """The arguments of a training that takes a second."""
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TINY, encoding="utf-8")
    return ["train", "--arch", "resnet8", "--width", "4", "--recipe", str(recipe), "--limit", "60"]


def test_training_digits(tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert call(*tiny, "--method", "iat", "--seed", "7", "--epochs", "2", "--out", str(out)) == 0
    seen = capsys.readouterr().err
    first, second = (line for line in seen.splitlines() if line.startswith("epoch "))
    assert first.startswith("epoch   1/2")
    assert "validation: clean" in first
    assert re.search(r"images/s  \d+:\d\d:\d\d left$", first.rstrip())
    assert second.rstrip().endswith("images/s  done")
    assert "test accuracy of 60: clean" in seen
    card = read_card(out / "model.safetensors")
    assert (card.method, card.width, card.recipe["seed"], card.recipe["epochs"]) == ("iat", 4, 7, 2)
    assert sorted(path.name for path in out.iterdir() if path.is_file()) == [
        ".lock",
        "card.json",
        "checkpoint.previous.pt",
        "checkpoint.pt",
        "metrics.csv",
        "model.safetensors",
    ]


def test_training_on_all_images_with_other_weights(
    tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert call(*tiny, "--method", "iat", "--all-images", "--alpha", "0.5", "--out", str(out)) == 0
    assert "no validation images" in capsys.readouterr().err
    card = read_card(out / "model.safetensors")
    assert (card.recipe["validation"], card.recipe["alpha"]) == (0, 0.5)
    assert "nan" in (out / "metrics.csv").read_text()


def test_training_from_npz_files_is_named_after_both(tiny: list[str], tmp_path: Path) -> None:
    for number, split in enumerate(("train", "test")):
        images = np.random.default_rng(number).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
        np.savez(tmp_path / f"mine_{split}.npz", images=images, labels=np.arange(40) % 2, class_names=["a", "b"])
    data = ["--dataset", str(tmp_path / "mine_train.npz"), "--test", str(tmp_path / "mine_test.npz")]
    assert call(*tiny, *data, "--out", str(tmp_path / "out")) == 0
    card = read_card(tmp_path / "out" / "model.safetensors")
    assert (card.dataset, card.class_names) == ("mine", ("a", "b"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "mixing"], "--method 'mixing' is not known; known: standard, mixup, adversarial, iat"),
        (["--recipe", "papers"], "recipe 'papers' is not known; did you mean paper?"),
        (["--arch", "resnet9"], "--arch 'resnet9' is not known"),
        (["--dataset", "digit"], "dataset 'digit' is not known"),
        (["--dataset", "mine.npz"], "--test names the test split exactly when"),
        (["--test", "mine.npz"], "--test names the test split exactly when"),
        (["--dataset", "mine.npz", "--test", "mine.npz"], "--test mine.npz is the training set itself"),
        (["--dataset", "digits-c:fog:3"], "--dataset digits-c:fog:3: nobody trains on corrupted images"),
        (["--dataset", "a.npz", "--test", "b.npz-c:fog:3"], "name b.npz here, and b.npz-c:fog:3 to `counteract evalua"),
        (["--method", "standard", "--alpha", "2"], "--alpha is about mixup, and --method standard mixes nothing"),
        (["--limit", "9"], "need at least 10 images, and there are 9 of digits: take more, or --all-images"),
        (["--limit", "12"], "batch_size of the recipe is 16, but 11 training images are left: take more images, or a"),
        (["--precision", "half"], "precision"),
        (["--devices", "3"], "batch_size of the recipe, 16, does not divide among 3 processes"),
        (["--resume"], "there is no checkpoint in"),
        (["--epochs", "0"], "--epochs"),
        (["--seed", "9" * 30], "--seed"),
        (["--width", "9" * 12], "take more than half of this machine's memory"),
        (["--epochs", "1", "--epochs", "2"], "--epochs is given twice"),
    ],
)
def test_a_mistake_is_one_line(
    tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    line = [*tiny, "--out", str(tmp_path / "out")]
    for option in (word for word in arguments if word in line):  # in place of the one there is
        del line[line.index(option) : line.index(option) + 2]
    assert call(*line, *arguments) == 2
    seen = capsys.readouterr().err
    assert message in seen
    assert seen.count("\n") == 1


def test_a_folder_that_cannot_be_made_is_one_line(
    tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert call(*tiny, "--out", str(tmp_path / "file" / "out")) == 2
    assert "cannot be made" in capsys.readouterr().err


def test_advice_about_pictures_names_no_option_that_training_lacks(
    tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, side in enumerate((32, 40)):
        path = tmp_path / "pictures" / "abc"[number] / "one.png"
        path.parent.mkdir(parents=True)
        Image.new("RGB", (side, 32)).save(path)
    data = ["--dataset", f"folder:{tmp_path / 'pictures'}", "--test", "folder:other"]
    for advice in ("`evaluate` and `audit` have --resize", "`evaluate` and `audit` go on without, with --skip-unread"):
        assert call(*tiny, *data, "--out", str(tmp_path / "out")) == 2
        assert advice in capsys.readouterr().err
        (tmp_path / "pictures" / "a" / "one.png").write_bytes(b"")


def test_the_training_set_by_another_name_is_no_test(
    tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    for name in ("one", "copy"):
        np.savez(tmp_path / f"{name}.npz", images=images, labels=np.arange(40) % 2, class_names=["a", "b"])
    data = [*tiny, "--dataset", str(tmp_path / "one.npz"), "--out", str(tmp_path / "out"), "--test"]
    assert call(*data, str(tmp_path / "copy.npz")) == 2
    assert "all of its 40 images are training images, too" in capsys.readouterr().err
    images[30:] += 1
    np.savez(tmp_path / "half.npz", images=images[20:], labels=np.arange(20) % 2, class_names=["a", "b"])
    assert call(*data, str(tmp_path / "half.npz")) == 0
    assert "warning: 10 of 20 test images are training images, too" in capsys.readouterr().err
