"""ImageNet's classification set of 2012, as torchvision unpacks and knows it."""

from __future__ import annotations

from pathlib import Path

from counteract._errors import UserError
from counteract.datasets.folder import Pictures
from counteract.datasets.items import Items


def find_imagenet(name: str, split: str, data_dir: Path) -> Items:
    """Returns a split; the validation images are the test split.

    Raises:
        UserError: (a ValueError) it is not in `data_dir`.
    """
    import torchvision.datasets

    try:
        source = torchvision.datasets.ImageNet(str(data_dir), "train" if split == "train" else "val")
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"imagenet is not in {data_dir} ({str(error).partition(' or ')[0]}): name with --data-dir the folder of "
            "ILSVRC2012's devkit and archive; or a folder of pictures, folder:DIR"
        ) from error
    paths = [path for path, _ in source.samples]
    classes = (", ".join((place, *words)) for place, words in zip(source.wnids, source.classes, strict=True))
    return Items(name, Pictures(paths, [label for _, label in source.samples]), tuple(classes), paths)
