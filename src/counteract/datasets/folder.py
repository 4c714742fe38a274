"""Folders of pictures, one for each class, as torchvision's ImageFolder has them."""

from __future__ import annotations

from pathlib import Path

from PIL.Image import Image

from counteract._errors import UserError, shown
from counteract._files import read_file
from counteract.datasets.items import Items
from counteract.datasets.pictures import open_picture

PREFIX = "folder:"

_CLASSES = "classes.txt"

_LONGEST = 2**22
"""The number of bytes of the longest `classes.txt`."""


class Pictures:
    """Files of pictures with their labels.

    Args:
        paths: The files.
        labels: One for each.
    """

    def __init__(self, paths: list[str], labels: list[int]) -> None:
        self.paths, self.labels = paths, labels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Image, int]:
        return open_picture(Path(self.paths[index])), self.labels[index]


def find_folder(name: str) -> Items:
    """Returns the pictures of `folder:DIR`, as ImageFolder orders them.

    Their classes are the folders in it in their sorted order, or those of `classes.txt` in its order: a folder's name a
    line, and, after a tab, the class's own name, if it has another.

    Raises:
        UserError: (a ValueError) there is no such folder, or it has no classes.
    """
    from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset

    if name == PREFIX:
        raise UserError(f"dataset {PREFIX} names no folder: write {PREFIX}DIR, {PREFIX}. for this one")
    folder = Path(name.removeprefix(PREFIX))
    folders = _folders(folder, name)
    classes = _read_classes(folder, folders) if (folder / _CLASSES).exists() else {each: each for each in folders}
    places = {each: number for number, each in enumerate(classes) if each in folders}
    found = make_dataset(str(folder), places, tuple(IMG_EXTENSIONS), allow_empty=True)
    samples = [(path, label) for path, label in found if not Path(path).name.startswith(".")]
    paths = [path for path, _ in samples]
    others = _files(folder, folders) - set(paths)
    notes = (f"{len(others)} files that are no pictures by their names were left out",) if others else ()
    source = Pictures(paths, [label for _, label in samples])
    return Items(name, source, tuple(classes.values()), [str(Path(path).relative_to(folder)) for path in paths], notes)


def _folders(folder: Path, name: str) -> list[str]:
    """Returns the names of the folders of the classes, in order."""
    try:
        found = sorted(each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"dataset {name}: {shown(str(folder))} is no folder that can be read: {reason}") from error
    if not found:
        raise UserError(
            f"dataset {name} holds no folders: it must hold one for each class, with the class's pictures in it"
        )
    return found


def _files(folder: Path, folders: list[str]) -> set[str]:
    """Returns all files of the classes, whatever they are, but for hidden ones."""
    found = (path for each in folders for path in (folder / each).rglob("*"))
    return {str(path) for path in found if path.is_file() and not path.name.startswith(".")}


def _read_classes(folder: Path, folders: list[str]) -> dict[str, str]:
    """Returns the names of the classes by their folders, in the order of `classes.txt`.

    Raises:
        UserError: (a ValueError) it is no such list, or lacks a folder.
    """
    path = folder / _CLASSES
    try:
        lines = [line.strip() for line in read_file(path, str(path), _LONGEST).decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no text: {error}") from error
    found: dict[str, str] = {}
    for line in filter(None, lines):
        place, _, said = (part.strip() for part in line.partition("\t"))
        if place in found:
            raise UserError(f"{path} names {place!r} twice")
        found[place] = said or place
    lacking = [each for each in folders if each not in found]
    if lacking:
        raise UserError(
            f"{path} lacks the folder {lacking[0]!r}{f' and {len(lacking) - 1} more' if lacking[1:] else ''}: it must "
            "name every folder, a line each, in the order of the network's outputs"
        )
    return found
