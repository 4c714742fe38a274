"""Images and labels, read block by block: named datasets, .npz files, folders of pictures, anyone's torch Datasets."""

from counteract._preparation import Preparation
from counteract.datasets.arrays import ArrayDataset
from counteract.datasets.augmented import Augmented
from counteract.datasets.base import Dataset
from counteract.datasets.items import Reading
from counteract.datasets.registry import DATASETS, Source, Split, find_source, load_dataset

__all__ = [
    "DATASETS",
    "ArrayDataset",
    "Augmented",
    "Dataset",
    "Preparation",
    "Reading",
    "Source",
    "Split",
    "find_source",
    "load_dataset",
]
