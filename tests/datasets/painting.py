"""A folder of small pictures of three classes, of different sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("dog", "cat", "bird")


def paint(folder: Path, each: int = 3, modes: tuple[str, ...] = ("RGB",)) -> list[Path]:
    """Paints so many pictures of each class; returns their files."""
    drawn = np.random.default_rng(0)
    found: list[Path] = []
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for picture in range(each):
            levels = drawn.integers(0, 256, (24 + number, 30 + picture, 3), dtype=np.uint8)
            mode = modes[len(found) % len(modes)]
            found.append(folder / name / f"{picture}.png")
            Image.fromarray(levels).convert(mode).save(found[-1])
    return found
