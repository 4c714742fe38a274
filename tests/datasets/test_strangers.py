"""Anyone's data: torch's Datasets and DataLoaders, pairs of arrays, and factories of these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, Sampler, Subset, SubsetRandomSampler, TensorDataset

from counteract._errors import UserError
from counteract.datasets import Dataset, Reading, load_dataset
from counteract.datasets.registry import ready
from counteract.datasets.strangers import adopt

IMAGES = torch.rand(6, 3, 4, 5, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 2, 1, 1, 0, 2])
DATA = TensorDataset(IMAGES, LABELS)


def adopted(data: object) -> Dataset:
    return ready(adopt(data, "mine"), Reading())


class Tripled(TensorDataset):
    """Items with a third part, which only a loader's `collate_fn` leaves out."""

    classes = ("a", "b", ("c", "d"))

    def __getitem__(self, index: int) -> Any:
        return IMAGES[index], LABELS[index], "weather"


def two(items: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.stack([item[0] for item in items]).flip(3), torch.stack([item[1] for item in items])


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (DATA, range(6)),
        (DataLoader(DATA, 4), range(6)),
        (DataLoader(DATA, 4, shuffle=True, drop_last=True), range(6)),
        (DataLoader(DATA, 2, sampler=SubsetRandomSampler([5, 0, 3])), [0, 3, 5]),
        (Subset(DATA, [4, 1]), [4, 1]),
        ((IMAGES, LABELS), range(6)),
        ((IMAGES.numpy(), LABELS.numpy()), range(6)),
        ((IMAGES.numpy()[:, :, :, ::-1].copy()[:, :, :, ::-1], LABELS.tolist()), range(6)),
        (list(zip(IMAGES, LABELS, strict=True)), range(6)),
    ],
)
def test_images_and_labels_of_whatever_kind(data: object, rows: Any) -> None:
    found = adopted(data)
    assert torch.equal(found.images, IMAGES[list(rows)])
    assert torch.equal(found.labels, LABELS[list(rows)])
    assert found.class_names == ()


def test_a_loaders_own_collate_is_obeyed_and_names_are_found_behind_subsets() -> None:
    source = Tripled(IMAGES, LABELS)
    found = adopted(DataLoader(source, 4, collate_fn=two))
    assert torch.equal(found.images, IMAGES.flip(3))
    assert found.class_names == ("a", "b", "c, d")
    items = adopt(Subset(source, [1]), "mine")
    assert items.class_names == ("a", "b", "c, d")
    with pytest.raises(UserError, match="a pair of an image and its label, found tuple"):
        adopted(source)


def test_bytes_with_their_channels_first_or_last() -> None:
    levels = (IMAGES * 255).to(torch.uint8)
    first, last = adopted((levels, LABELS)), adopted((levels.permute(0, 2, 3, 1).numpy(), LABELS.numpy()))
    assert torch.equal(first.images, last.images)
    assert first.image_shape == last.image_shape == (3, 4, 5)


def test_a_pair_may_be_a_list_and_have_its_channels_last() -> None:
    assert torch.equal(adopted([IMAGES, LABELS]).images, IMAGES)
    for last in (IMAGES.permute(0, 2, 3, 1), IMAGES.permute(0, 2, 3, 1).numpy()):
        assert torch.equal(adopted((last, LABELS)).images, IMAGES)
    assert adopted((torch.rand(2, 3, 4, 3), LABELS[:2])).image_shape == (3, 4, 3)  # as torch has them


class Endless(IterableDataset[Any]):
    """Items without a length or an index."""

    def __iter__(self) -> Any:
        return iter(DATA)


class Backwards(Sampler[int]):
    """An order of its own."""

    def __iter__(self) -> Any:
        return iter(range(5, -1, -1))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (Endless(), "must be a torch Dataset with a length and items"),
        (DataLoader(Endless()), "must be a torch Dataset with a length and items"),
        (IMAGES, "found Tensor"),
        (3, "found int"),
        (DataLoader(DATA, sampler=Backwards()), "its loader chooses by a Backwards; pass a torch.utils.data.Subset"),
        (DataLoader(DATA, batch_size=None), "its loader has batches of its own"),
        ((IMAGES * 2, LABELS), r"pixels must lie in \[0, 1\]"),
        ((IMAGES, LABELS[:5]), "labels must be 6 integers"),
        ((IMAGES, np.array(list("abcdef"))), "labels must be 6 integers, found <U1"),
        ((IMAGES, None), "labels must be 6 integers, found object"),
    ],
)
def test_what_is_no_data_is_refused(data: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        adopted(data)


def test_a_factory_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"data_{tmp_path.name}"
    Path(f"{name}.py").write_text(
        "import torch\nfrom torch.utils.data import TensorDataset\n"
        "held = TensorDataset(torch.zeros(4, 3, 8, 8), torch.arange(4))\n"
        "def make():\n    return held\n"
        "class Zeros(TensorDataset):\n"
        "    def __init__(self):\n        super().__init__(torch.zeros(4, 3, 8, 8), torch.arange(4))\n"
        "def many(count, label=0):\n"
        "    return TensorDataset(torch.zeros(count, 3, 8, 8), torch.full((count,), label))\n"
        "def fail():\n    raise OSError('the disk is gone')\n"
        "def nothing():\n    return None\n"
    )
    for factory in ("make", "held", "Zeros"):
        found = load_dataset(f"{name}:{factory}", limit=3)
        assert (len(found), found.name) == (3, f"{name}:{factory}")
    found = load_dataset(f"{name}:many(count=7, label=1)")
    assert (len(found), found.labels.tolist()) == (7, [1] * 7)
    with pytest.raises(UserError, match=r"dataset .*:many could not be made by many\(\): missing .*'count'"):
        load_dataset(f"{name}:many")
    with pytest.raises(UserError, match="must name a function that makes data, found TensorDataset"):
        load_dataset(f"{name}:held(count=7)")
    with pytest.raises(UserError, match=r"dataset .*:fail failed with OSError: the disk is gone"):
        load_dataset(f"{name}:fail")
    with pytest.raises(UserError, match="found NoneType"):
        load_dataset(f"{name}:nothing")
    with pytest.raises(UserError, match="did you mean make"):
        load_dataset(f"{name}:mke")
