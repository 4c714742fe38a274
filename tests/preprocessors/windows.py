"""Crops, paddings and the check of a window defence against its definition, image by image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from counteract.preprocessors._window import RandomWindow, Window

KEYS = torch.arange(64)

Definition = Callable[[Tensor, Window, int], Tensor]
"""The defended image that a window's entry of some index makes of one image, written out plainly."""


def crop(image: Tensor, window: Window, index: int) -> Tensor:
    side, top, left = (int(value[index]) for value in window[:3])
    return image[:, :, top : top + side, left : left + side]


def pad(small: Tensor, window: Window, index: int, shape: torch.Size) -> Tensor:
    top, left = int(window.pad_top[index]), int(window.pad_left[index])
    big = torch.zeros(shape)
    big[:, :, top : top + small.shape[2], left : left + small.shape[3]] = small
    return big


def assert_is(by_definition: Definition, defence: RandomWindow, x: Tensor, every: int = 1) -> None:
    """Compares a defence of `x` with its definition, at `every` so many images."""
    window = defence.draw(KEYS, x, None)
    found = defence.apply(x, window)
    assert found.shape == x.shape
    for index in range(0, len(x), every):
        expected = by_definition(x[index : index + 1], window, index)
        torch.testing.assert_close(found[index : index + 1], expected, atol=1e-5, rtol=0)
