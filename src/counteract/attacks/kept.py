"""Adversarial examples in a folder that `--save-examples` wrote, as an attack: `file:DIR`, `file:DIR@defended`."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from counteract._errors import UserError
from counteract._files import read_file
from counteract._sealed import unseal
from counteract.attacks.libraries import AttackError, AttackWarning
from counteract.attacks.libraries.names import DEFENDED
from counteract.attacks.preset import AttackPreset
from counteract.attacks.threat_model import ThreatModel
from counteract.attacks.victim import Victim

PREFIX = "file:"

ABOUT, BLOCKS = "about.json", "block-*.npz"
"""The file that says what the examples are, and those that hold them."""

_DEEPEST = 4
"""So many folders lie between the one that `--save-examples` names and the examples at most."""

_LONGEST = 2**20
"""The number of bytes of the longest `about.json`."""


def image_hash(image: Tensor) -> str:
    """Returns a hash of a clean image, by which its adversarial example is found: 32 hexadecimal digits."""
    return hashlib.sha256(image.detach().cpu().float().contiguous().numpy().tobytes()).hexdigest()[:32]


@dataclass(frozen=True)
class Kept:
    """A folder of examples.

    Attributes:
        name: The attack's name.
    """

    name: str

    @property
    def defended(self) -> bool:
        """True where the name says that they were made through a defence."""
        return self.name.endswith(DEFENDED)

    @cached_property
    def folder(self) -> Path:
        """The folder: the one that the name says, or the only one with examples below it."""
        given = Path(self.name.removeprefix(PREFIX).removesuffix(DEFENDED))
        below = [] if (given / ABOUT).exists() else _below(given)
        return below[0] if len(below) == 1 else given

    @property
    def origin(self) -> str:
        """A hash of the files; empty where there are none."""
        try:
            found = sorted((*self.folder.glob(BLOCKS), *self.folder.glob(ABOUT)))
            facts = tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in found)
            return _digest(facts) if facts else ""
        except (OSError, ValueError):
            return ""

    @cached_property
    def about(self) -> Mapping[str, Any]:
        """The facts about the examples: attack, defence, model, dataset, threat_model, ...

        Raises:
            UserError: (a ValueError) there are none.
        """
        path = self.folder / ABOUT
        if not path.exists() and (several := _below(self.folder)):
            raise UserError(
                f"attack {self.name}: {len(several)} folders with examples are below it: name one, "
                f"{PREFIX}{several[0]} for one"
            )
        text = read_file(path, f"attack {self.name}: {path}", _LONGEST)
        try:
            return unseal(text)
        except ValueError as error:
            raise UserError(f"attack {self.name}: {path} is damaged: {error}") from error

    @cached_property
    def places(self) -> Mapping[str, tuple[Path, int]]:
        """The file and the row of each example by the hash of its clean image."""
        found: dict[str, tuple[Path, int]] = {}
        for path in sorted(self.folder.glob(BLOCKS)):
            for row, clean in enumerate(_load(self.name, path)["clean"].tolist()):
                self._twice.extend([clean] * (clean in found))
                found[str(clean)] = (path, row)
        return found

    @cached_property
    def _twice(self) -> list[str]:
        """The clean images that several examples are of, as far as they were read."""
        return []

    def check(self, network: nn.Module, threat_model: ThreatModel, num_classes: int, images: Tensor) -> None:
        """Makes sure that there are examples, of this threat model.

        Raises:
            UserError: (a ValueError) there are none, or others.
        """
        del network, num_classes, images
        made = self.about.get("threat_model")
        if made != threat_model.model_dump(mode="json"):
            raise UserError(
                f"attack {self.name}: its examples were made for {made}, and the run is for "
                f"{threat_model.model_dump(mode='json')}: give the same --norm and --eps"
            )
        through = self.about.get("defence")
        if (through is not None) != self.defended:
            words = f"through {through}" if through else "on the undefended network"
            suffix = "with" if through else "without"
            raise UserError(f"attack {self.name}: its examples were made {words}: write it {suffix} {DEFENDED}")

    def run(
        self, victim: Victim, images: Tensor, labels: Tensor, keys: Tensor, preset: AttackPreset, known: Tensor | None
    ) -> Tensor:
        """Returns the examples of these images.

        Raises:
            AttackError: there is none of one of them, or one has another shape.
        """
        del victim, labels, keys, preset, known
        about = self.about
        made = f"made by {about.get('attack')} on {about.get('model')}"
        through = f", through {about['defence']}" if about.get("defence") else ""
        warnings.warn(f"its examples were {made}{through}", AttackWarning, stacklevel=2)
        rows = [self._place(image) for image in images]
        if self._twice:
            many = f"{len(self._twice)} of its examples are of images that others are of, too"
            warnings.warn(f"{many}: of these the last one is taken for all", AttackWarning, stacklevel=2)
        files = {path: _load(self.name, path)["images"] for path in {path for path, _ in rows}}
        found = torch.from_numpy(np.stack([files[path][row] for path, row in rows]))
        if found.shape != images.shape:
            raise AttackError(f"attack {self.name} failed: its examples have another shape, {tuple(found.shape[1:])}")
        return found.to(images)

    def _place(self, image: Tensor) -> tuple[Path, int]:
        place = self.places.get(image_hash(image))
        if place is None:
            raise AttackError(
                f"attack {self.name} failed: there is no example of one of the images; they were made of "
                f"{self.about.get('dataset')}, {len(self.places) + len(self._twice)} images"
            )
        return place


def _below(folder: Path) -> list[Path]:
    """Returns the folders with examples below one, as `--save-examples` makes them for networks, attacks and seeds."""
    found = (path.parent for depth in range(1, _DEEPEST + 1) for path in folder.glob(f"{'*/' * depth}{ABOUT}"))
    return sorted(found)


@cache
def _digest(files: tuple[tuple[str, int, int], ...]) -> str:
    content = hashlib.sha256()
    for path, _, _ in files:
        content.update(Path(path).read_bytes())
    return content.hexdigest()


def _load(name: str, path: Path) -> Mapping[str, Any]:
    """Returns the arrays of a file.

    Raises:
        UserError: (a ValueError) it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {key: arrays[key] for key in ("images", "labels", "index", "clean")}
    except Exception as error:  # a damaged archive raises anything
        raise UserError(f"attack {name}: {path} is damaged: {error}") from error
    images = found["images"]
    if images.ndim != 4 or images.dtype != np.float32 or len({len(each) for each in found.values()}) != 1:
        raise UserError(f"attack {name}: {path} is damaged: its arrays do not fit together")
    return found
