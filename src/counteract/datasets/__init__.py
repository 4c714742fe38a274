"""Images and labels, read block by block: named datasets, .npz files, folders of pictures, anyone's torch Datasets."""

from counteract._extras import needing
from counteract._preparation import Preparation

with needing("evaluate"):
    from counteract.datasets.arrays import ArrayDataset
    from counteract.datasets.augmented import Augmented
    from counteract.datasets.base import Dataset
    from counteract.datasets.corrupted import CORRUPTIONS, Corrupted
    from counteract.datasets.items import Reading
    from counteract.datasets.registry import DATASETS, Source, Split, find_source, load_dataset

__all__ = [
    "CORRUPTIONS",
    "DATASETS",
    "ArrayDataset",
    "Augmented",
    "Corrupted",
    "Dataset",
    "Preparation",
    "Reading",
    "Source",
    "Split",
    "find_source",
    "load_dataset",
]
