"""Adversarial examples on disk, found again by a hash of what they were made from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_cache_path
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from counteract._errors import UserError
from counteract._files import write_atomically

_SUFFIX = ".safetensors"


def default_cache() -> Path:
    """The folder in the user's cache directory."""
    return user_cache_path("art-counteract") / "examples"


class ExampleCache:
    """A folder with a file for each entry; several processes may use it at once.

    A file is written under another name and renamed, so that none is seen half-written, and carries a checksum of its
    images: one that was damaged later is not believed.

    Args:
        folder: Where; None remembers nothing.
        warn: Told in a line of what went wrong with a file; the work goes on without it.
    """

    def __init__(self, folder: Path | None, warn: Callable[[str], None]) -> None:
        self.folder = folder
        self._warn = warn

    def load(self, key: str) -> Tensor | None:
        """The images stored under a key, or None."""
        path = self._path(key)
        if path is None or not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                images: Tensor = file.get_tensor("images")
                stored = (file.metadata() or {}).get("sha256")
        except (OSError, SafetensorError) as error:
            self._warn(f"cached examples {path} are damaged ({error}) and are made again")
            return None
        if stored != checksum(images):
            self._warn(f"cached examples {path} are damaged (checksum) and are made again")
            return None
        return images

    def store(self, key: str, images: Tensor) -> None:
        """Stores images under a key."""
        path = self._path(key)
        if path is None:
            return
        images = images.cpu().contiguous()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, save({"images": images}, metadata={"sha256": checksum(images)}))
        except (OSError, UserError) as error:
            self._warn(f"examples could not be cached: {error}")

    def files(self) -> list[Path]:
        """Every file in the cache."""
        return sorted(self.folder.glob(f"??/*{_SUFFIX}")) if self.folder else []

    def clear(self) -> int:
        """Deletes every file, and returns how many bytes that freed."""
        freed = 0
        for path in self.files():
            freed += path.stat().st_size
            path.unlink(missing_ok=True)
        return freed

    def _path(self, key: str) -> Path | None:
        return self.folder / key[:2] / f"{key}{_SUFFIX}" if self.folder else None


def checksum(images: Tensor) -> str:
    """Returns a hash of the values of a tensor on the CPU."""
    return hashlib.sha256(images.numpy().tobytes()).hexdigest()
