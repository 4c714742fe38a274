"""Anyone's data: torch's Datasets and DataLoaders, pairs of arrays, and factories that make one of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, SequentialSampler, SubsetRandomSampler
from torch.utils.data import Dataset as TorchDataset

from counteract._calls import parse_call
from counteract._errors import UserError
from counteract._factories import call_factory, find_factory
from counteract._labels import as_array
from counteract._strangers import strangers_code
from counteract.datasets.arrays import ArrayDataset
from counteract.datasets.base import Dataset
from counteract.datasets.items import Items, Source

_ARRAYS = (Tensor, np.ndarray)


def make_dataset(name: str) -> Dataset | Items:
    """Returns what a factory makes, or the data that a module holds.

    Args:
        name: `package.module:factory`, the factory's arguments in brackets.

    Raises:
        UserError: (a ValueError) there is no such module or factory, or it fails or makes no data.
    """
    call = parse_call(name, "dataset")
    _, factory = find_factory(call.name, "dataset")
    with strangers_code(f"dataset {name}"):
        held = not isinstance(factory, type) and (hasattr(factory, "__getitem__") or not callable(factory))
        if held and call.arguments:
            raise UserError(f"dataset {name} must name a function that makes data, found {type(factory).__name__}")
        return adopt(factory if held else call_factory(factory, call, "dataset"), name)


def adopt(data: object, name: str) -> Dataset | Items:
    """Returns anyone's data as a dataset, or as items that are still to be read.

    Args:
        data: A dataset of this package; a map-style `torch.utils.data.Dataset` of (image, label), or a `DataLoader` of
            one; a pair of images and labels, tensors or arrays.
        name: The dataset's name.

    Raises:
        UserError: (a ValueError) it is something else.
    """
    if isinstance(data, Dataset):
        return data
    if isinstance(data, DataLoader):
        return _of_loader(data, name)
    if isinstance(data, (tuple, list)) and len(data) == 2 and isinstance(data[0], _ARRAYS):
        images, labels = data
        return _of_arrays(images, labels, name)
    if isinstance(data, IterableDataset) or not _is_map(data):
        raise UserError(
            f"dataset {name} must be a torch Dataset with a length and items (image, label), a DataLoader of one, or a "
            f"pair of images and labels; found {type(data).__name__}"
        )
    return Items(name, data, _class_names(data))  # type: ignore[arg-type]


def is_data(thing: object) -> bool:
    """Returns True for what brings its labels: a dataset, a loader, or a pair of images and labels."""
    return isinstance(thing, (Dataset, TorchDataset, DataLoader, tuple))


def _is_map(data: object) -> bool:
    return hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, (str, Tensor, np.ndarray))


def _of_arrays(images: Any, labels: Any, name: str) -> Dataset:
    """Returns a pair of arrays as a dataset, whose classes have no names; channels may stand first or last."""
    if images.ndim == 4:
        first, last = (images.shape[at] in (1, 3) for at in (1, -1))
        to_last = str(images.dtype).endswith("uint8")
        order = (0, 2, 3, 1) if to_last else (0, 3, 1, 2)
        if first != last and first == to_last:
            images = images.permute(order) if isinstance(images, Tensor) else images.transpose(order)
    labels = as_array(labels)
    most = int(labels.max()) + 1 if labels.size and np.issubdtype(labels.dtype, np.integer) else 1
    found = ArrayDataset(name, images, labels, ("",) * most)
    found.class_names = ()
    return found


class _Collated:
    """The items of a loader, one by one, as its own `collate_fn` makes them."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self.source, self.collate = loader.dataset, loader.collate_fn

    def __len__(self) -> int:
        return len(self.source)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        images, labels = self.collate([self.source[index]])
        return images[0], labels[0]


class _Chosen:
    """Some of a dataset's items."""

    def __init__(self, source: Source, rows: Sequence[int]) -> None:
        self.source, self.rows = source, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        return self.source[self.rows[index]]


def _of_loader(loader: DataLoader[Any], name: str) -> Items:
    """Returns the items of a loader in the order of its dataset, however it shuffles them.

    Raises:
        UserError: (a ValueError) it has no items, or nobody knows which it would take.
    """
    found = adopt(loader.dataset, name)
    if not isinstance(found, Items):
        raise UserError(f"dataset {name}: pass the loader's dataset, not the loader")
    if loader.batch_size is None:
        raise UserError(f"dataset {name}: its loader has batches of its own; pass its dataset")
    default = getattr(loader.collate_fn, "__module__", "").startswith("torch.utils.data")
    source = found.source if default else _Collated(loader)
    if isinstance(loader.sampler, SubsetRandomSampler):
        source = _Chosen(source, sorted(map(int, loader.sampler.indices)))
    elif not isinstance(loader.sampler, (SequentialSampler, RandomSampler)):
        kind = type(loader.sampler).__name__
        raise UserError(
            f"dataset {name}: its loader chooses by a {kind}; pass a torch.utils.data.Subset of its dataset"
        )
    return Items(name, source, found.class_names)


def _class_names(data: object) -> tuple[str, ...]:
    """Returns the names of the classes that a dataset has as torchvision's do; of a subset those of the whole."""
    inner = data
    while (whole := getattr(inner, "dataset", None)) is not None:
        inner = whole
    names = getattr(inner, "classes", None)
    if not isinstance(names, (list, tuple)):
        return ()
    return tuple(", ".join(map(str, each)) if isinstance(each, (list, tuple)) else str(each) for each in names)
