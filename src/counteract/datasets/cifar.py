"""CIFAR-10 and CIFAR-100, as torchvision finds or downloads them."""

from __future__ import annotations

from pathlib import Path

from counteract._errors import UserError
from counteract.datasets.arrays import ArrayDataset
from counteract.datasets.base import Dataset

_CLASSES = {
    "cifar10": "airplane automobile bird cat deer dog frog horse ship truck",
    "cifar100": """
        apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
        castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
        elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster
        man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck
        pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk
        skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger
        tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
    """,
}
"""The names of the classes, which the datasets' own files have; for images that come without these."""


def class_names(name: str) -> tuple[str, ...]:
    """Returns the names of the classes of `cifar10` or `cifar100`."""
    return tuple(_CLASSES[name].split())


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
