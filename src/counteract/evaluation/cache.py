"""Adversarial examples on disk, found again by a hash of what they were made from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from platformdirs import user_cache_path
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from counteract._errors import UserError
from counteract._files import write_atomically

_SUFFIX = ".safetensors"

_KEY = re.compile("[0-9a-f]{32}")
"""A key: see `fingerprint`."""


@dataclass(frozen=True)
class Made:
    """Adversarial examples, and what is to be said of their making.

    Attributes:
        images: The examples, as the attack returned them.
        passes: The forward passes that the attack took for all of them.
        said: The attack's own warnings, a line each.
    """

    images: Tensor
    passes: float
    said: str = ""


def default_cache() -> Path:
    """The folder in the user's cache directory."""
    return user_cache_path("art-counteract") / "examples"


class ExampleCache:
    """A folder with a file for each entry; several processes may use it at once.

    A file is written under another name and renamed, so that none is seen half-written, and carries a checksum of its
    images: one that was damaged later is not believed.

    Args:
        folder: Where; None remembers nothing.
        warn: Told in a line of what went wrong with a file, once if nothing can be stored; the work goes on without it.
    """

    def __init__(self, folder: Path | None, warn: Callable[[str], None]) -> None:
        self.folder = folder
        self._warn = warn
        self._stores = True

    def load(self, key: str) -> Made | None:
        """The examples stored under a key, or None."""
        path = self._path(key)
        if path is None or not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                images: Tensor = file.get_tensor("images")
                told = file.metadata() or {}
            made = Made(images, float(told.get("passes", "nan")), told.get("said", ""))
        except (OSError, SafetensorError, ValueError) as error:
            self._warn(f"cached examples {path} are damaged ({error}) and are made again")
            return None
        if told.get("sha256") != _sum(made):
            self._warn(f"cached examples {path} are damaged (checksum) and are made again")
            return None
        return made

    def store(self, key: str, made: Made) -> None:
        """Stores examples under a key."""
        path = self._path(key)
        if path is None or not self._stores:
            return
        made = replace(made, images=made.images.cpu().contiguous())
        told = {"sha256": _sum(made), "passes": repr(made.passes), "said": made.said}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, save({"images": made.images}, metadata=told))
        except (OSError, UserError) as error:
            self._warn(f"examples could not be cached: {error}")
            self._stores = False

    def files(self) -> list[Path]:
        """Every file in the cache, by the names that it gives: in its folder other things may be."""
        found = sorted(self.folder.glob(f"??/*{_SUFFIX}")) if self.folder else []
        return [path for path in found if path == self._path(path.stem) and _KEY.fullmatch(path.stem)]

    def clear(self) -> int:
        """Deletes every file, and returns how many bytes that freed."""
        freed = 0
        for path in self.files():
            freed += path.lstat().st_size
            path.unlink(missing_ok=True)
        return freed

    def _path(self, key: str) -> Path | None:
        return self.folder / key[:2] / f"{key}{_SUFFIX}" if self.folder else None


def _sum(made: Made) -> str:
    """Returns a hash of examples with what is said of them."""
    return hashlib.sha256(repr((checksum(made.images), made.passes, made.said)).encode()).hexdigest()


def checksum(images: Tensor) -> str:
    """Returns a hash of the values of a tensor on the CPU."""
    return hashlib.sha256(images.numpy().tobytes()).hexdigest()
