"""A recipe that trains in a second, and data for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from counteract.datasets import Dataset, Split, load_dataset
from counteract.training import Method, Run, load_recipe

SPLITS: tuple[Split, Split] = ("train", "test")

RECIPE = """
epochs = 3
batch_size = 32
lr = 0.004
schedule = "one-cycle"
flip = false
[iat]
attack_steps = 2
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """The recipe's file."""
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A few noisy training and test digits as .npz files.

    Clean digits have large areas of one value: where that lies near a kink of the network, round-off moves all of it.
    """
    paths = tmp_path / "noisy_train.npz", tmp_path / "noisy_test.npz"
    noise = np.random.default_rng(0)
    for path, split, count in zip(paths, SPLITS, (160, 40), strict=True):
        digits = load_dataset("digits", split).take(count)
        images = (digits.images * 200).permute(0, 2, 3, 1).numpy() + noise.uniform(0, 55, (count, 32, 32, 3))
        np.savez(path, images=images.astype(np.uint8), labels=digits.labels.numpy(), class_names=digits.class_names)
    return paths


@pytest.fixture
def digits(files: tuple[Path, Path]) -> tuple[Dataset, Dataset]:
    """The datasets of `files`, under the name that `counteract train` gives them."""
    training, test = (load_dataset(str(path)) for path in files)
    training.name = test.name = "noisy"
    return training, test


@pytest.fixture
def make_run(recipe: Path) -> Callable[..., Run]:
    """Makes a run of the tiny recipe; further arguments change fields of the recipe."""

    def make(out: Path, method: Method = "mixup", **changes: object) -> Run:
        loaded = load_recipe(str(recipe), method, **changes)
        return Run(architecture="resnet8", width=8, method=method, recipe=loaded, recipe_name="tiny", out=out)

    return make
