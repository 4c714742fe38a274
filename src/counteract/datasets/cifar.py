"""CIFAR-10 and CIFAR-100, as torchvision finds or downloads them."""

from __future__ import annotations

from pathlib import Path

from counteract._errors import UserError
from counteract.datasets.arrays import ArrayDataset
from counteract.datasets.base import Dataset


def load_cifar(name: str, split: str, data_dir: Path) -> Dataset:
    """Returns a split of `cifar10` or `cifar100`.

    Raises:
        UserError: (a ValueError) it is not in `data_dir`, and the download failed.
    """
    import torchvision.datasets

    try:
        source = getattr(torchvision.datasets, name.upper())(str(data_dir), train=split == "train", download=True)
    except (OSError, RuntimeError) as error:  # urllib's errors are OSErrors; a bad checksum is a RuntimeError
        raise UserError(
            f"{name} could not be downloaded to {data_dir} ({error}); go online once, name a folder that holds "
            "torchvision's copy with --data-dir, or pass the path of an .npz file with images, labels and class_names"
        ) from error
    return ArrayDataset(name, source.data, source.targets, source.classes)
