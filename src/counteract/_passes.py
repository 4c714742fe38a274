"""Passes: how many images and how many of their draws go through a network together, and whose graphs are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

from counteract._batches import GRANULE

_IMAGE = 3 * 32 * 32
"""The values of one of CIFAR's images, in whose number sizes are given here."""

_PASS, _PASS_OF_CPU, _LEAST = 512, 128, 16
"""The images of a pass: as many as fill a processor, or stay in a CPU's cache; and of larger images no fewer than."""

_KEPT, _BYTES = 512, 2**32
"""The images whose graphs are kept in any case, and the memory that those of more may take."""


def pass_of(images: Tensor, draws: int) -> tuple[int, int]:
    """Returns how many images go through a network together, and with how many of their draws at a time.

    Passes are as full as may be where all draws of the images that go together have their graphs kept. Images come in
    multiples of `GRANULE`, so that passes of any size are rounded alike; and of so many images or more the number of
    draws does not depend on their number, so that gradients are added up alike.

    Args:
        images: Images, shape (N, C, H, W).
        draws: The number of draws of each.
    """
    rows = _as_many(images, _PASS_OF_CPU if images.device.type == "cpu" else _PASS)
    if len(images) < GRANULE:
        return GRANULE, _per_pass(draws, len(images), rows)
    kept = [size for size in range(GRANULE, rows + 1, GRANULE) if size * draws <= _as_many(images, _KEPT)]
    together = max(kept or [GRANULE], key=lambda size: size * draws / -(-size * draws // rows))
    return together, _per_pass(draws, together, rows)


def _per_pass(draws: int, together: int, rows: int) -> int:
    """Returns how many draws of so many images go into each of the passes, which are of one size."""
    return -(-draws // -(-draws * together // rows))


def draws_of_all(images: Tensor) -> int:
    """Returns with how many of their draws all images go through a network together, where they must.

    Args:
        images: Images, shape (N, C, H, W).
    """
    return max(1, _as_many(images, _PASS) // len(images))


def images_kept(images: Tensor, draws: int) -> int:
    """Returns of how many images the graphs of all draws are kept in any case: all, or those of some full passes, or 0.

    Args:
        images: Images, shape (N, C, H, W).
        draws: The number of draws of each.
    """
    fitting = _as_many(images, _KEPT) // draws
    together, _ = pass_of(images, draws)
    return fitting if fitting >= len(images) else fitting // together * together


class Graphs:
    """The graphs of several passes: kept while they do not take much memory, the others computed again.

    Args:
        everything: True to keep all of them.
        within: The number of rows whose graphs are kept in any case.
        limit: The memory that graphs may take beyond that, in bytes.
    """

    def __init__(self, *, everything: bool, within: int = 0, limit: int = 0) -> None:
        self._everything, self._within, self._limit = everything, within, limit
        self._rows = self._bytes = 0

    @classmethod
    def of(cls, images: Tensor, draws: int) -> Graphs:
        """Those of all draws of images, shape (N, C, H, W), within the usual bounds."""
        return cls(everything=len(images) <= images_kept(images, draws), within=_as_many(images, _KEPT), limit=_BYTES)

    def run(self, compute: Callable[..., Tensor], rows: int, *given: Any) -> Tensor:
        """Computes a pass of so many rows."""
        if self._everything or not torch.is_grad_enabled():
            return compute(*given)
        rows += self._rows
        if rows > self._within and self._bytes * rows >= self._limit * self._rows:
            again: Tensor = checkpoint(compute, *given, use_reentrant=False)
            return again
        self._rows = rows
        with saved_tensors_hooks(self._counting(), lambda tensor: tensor):
            return compute(*given)

    def _counting(self) -> Callable[[Tensor], Tensor]:
        """Returns a function that counts the memory of each tensor that a pass's graph keeps, once."""
        seen: set[int] = set()

        def count(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in seen:
                seen.add(storage.data_ptr())
                self._bytes += storage.nbytes()
            return tensor

        return count


def _as_many(images: Tensor, usual: int) -> int:
    """The number of such images that takes the memory of so many of CIFAR's."""
    return max(_LEAST, usual * _IMAGE // images[0].numel())
