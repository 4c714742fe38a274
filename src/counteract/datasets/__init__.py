"""Images and labels, read block by block: scikit-learn's digits (offline), CIFAR through torchvision, any .npz file."""

from counteract._extras import needing

with needing("evaluate"):
    from counteract.datasets.arrays import ArrayDataset
    from counteract.datasets.augmented import Augmented
    from counteract.datasets.base import Dataset
    from counteract.datasets.corrupted import CORRUPTIONS, Corrupted
    from counteract.datasets.registry import DATASETS, Source, Split, load_dataset

__all__ = [
    "CORRUPTIONS",
    "DATASETS",
    "ArrayDataset",
    "Augmented",
    "Corrupted",
    "Dataset",
    "Source",
    "Split",
    "load_dataset",
]
