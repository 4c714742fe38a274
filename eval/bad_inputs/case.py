"""A case: a bad input, and how its files are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Make = Callable[[Path], None]
"""A function that makes the files of a case in a folder."""


def nothing(folder: Path) -> None:
    """Makes no files."""
    del folder


@dataclass(frozen=True)
class Case:
    """A bad input.

    Attributes:
        kind: Its kind.
        name: Its name, of which there is one of each kind.
        arguments: The command line.
        make: Makes its files.
        environment: Changes of the environment.
        file: The bytes of the largest file that may be written, for a disk that is full; None for any.
        late: True where the line can only come when all is measured, and printed.
    """

    kind: str
    name: str
    arguments: Sequence[str]
    make: Make = field(default=nothing, repr=False)
    environment: dict[str, str] = field(default_factory=dict)
    file: int | None = None
    late: bool = False


RUN = ["evaluate", "--device", "cpu", "--limit", "4", "--attack", "pgd1", "--defence", "undefended", "--cache", "cache"]
"""A small run that is right."""

TRAIN = ["train", "--arch", "resnet8", "--width", "2", "--epochs", "1", "--limit", "60", "--out", "trained"]


def write(path: Path, content: bytes) -> None:
    """Writes a file."""
    path.write_bytes(content)


def holding(name: str, content: bytes) -> Make:
    """Returns a function that makes a file with some content."""
    return lambda folder: write(folder / name, content)
