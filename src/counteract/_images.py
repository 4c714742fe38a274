"""The boundary check for images: float tensors of shape (N, C, H, W) inside a stated pixel range."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from counteract._errors import UserError, shown

ROUND_OFF = 1e-4
"""The distance that a pixel may lie outside the range: float32 round-off with room, far less than 1/255."""


def check_images(
    x: Tensor,
    *,
    clip_values: tuple[float, float] | None = (0.0, 1.0),
    dtype: torch.dtype = torch.float32,
    name: str = "x",
) -> Tensor:
    """Returns `x` as `dtype`, once it is known to hold images.

    Args:
        x: Images of shape (N, C, H, W), of any real dtype; N may be 0.
        clip_values: The range that every pixel must lie in; None accepts every finite value.
        dtype: The dtype that the images are converted to.
        name: The argument's name in the error.

    Raises:
        UserError: (a ValueError) `x` has another number of dimensions, is complex, or holds NaN, infinite or
            out-of-range pixels.
    """
    if not isinstance(x, Tensor):
        raise UserError(f"{name} must be a tensor of images of shape (N, C, H, W), found {type(x).__name__}")
    if x.ndim != 4:
        raise UserError(f"{name} must be images of shape (N, C, H, W), found {x.ndim} dimensions: {tuple(x.shape)}")
    if x.is_complex():
        raise UserError(f"{name} must hold real pixels, found {x.dtype}")
    x = x.to(dtype, copy=x.is_inference())  # a copy can be differentiated, outside of inference mode
    if x.numel() == 0:
        return x
    lowest, highest = (float(v) for v in x.detach().aminmax())
    low, high = clip_values if clip_values is not None else (-float("inf"), float("inf"))
    inside = low - ROUND_OFF <= lowest and highest <= high + ROUND_OFF  # False for NaN
    finite = abs(lowest) < float("inf") and abs(highest) < float("inf")
    if not (inside and finite):
        raise UserError(_describe(x.detach(), low, high, name))
    return x


def tensor_of(pixels: Any, name: str = "images") -> Tensor:
    """Returns pixels as a tensor, which shares their memory unless torch has no way to: mirrored arrays are copied.

    Args:
        pixels: A tensor or an array, or anything that makes a tensor.
        name: The argument's name in the error.

    Raises:
        UserError: (a ValueError) they are none that torch knows, objects, say; or sparse, or without memory.
    """
    if isinstance(pixels, np.ndarray):
        pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
        pixels = pixels.copy() if any(stride < 0 for stride in pixels.strides) else pixels
    try:
        made = torch.as_tensor(pixels)
    except (TypeError, ValueError, RuntimeError):
        found = pixels.dtype if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise UserError(f"{name} must hold real pixels, found {found}") from None
    if made.is_meta or made.layout is not torch.strided:
        found = "one on the meta device" if made.is_meta else made.layout
        raise UserError(f"{name} must be a dense tensor that holds pixels, found {found}")
    return made


def _describe(x: Tensor, low: float, high: float, name: str) -> str:
    """Says which image is the first bad one, and why."""
    flat = x.flatten(1)
    for what, bad in (
        ("NaN", flat.isnan()),
        ("infinite pixels", flat.isinf()),
        ("pixels outside clip_values", (flat < low - ROUND_OFF) | (flat > high + ROUND_OFF)),
    ):
        if bad.any():
            first = int(bad.any(1).nonzero()[0])
            image = x[first]
            return (
                f"{name} has {what} (image {first} of {len(x)}, from {image.min():.4g} to {image.max():.4g}); "
                f"pixels must lie in [{low:g}, {high:g}]: scale the images, and normalise inside the network"
            )
    raise AssertionError("unreachable: nothing is wrong with these images")


def check_clip_values(clip_values: Any) -> tuple[float, float] | None:
    """Returns a range of pixels in Python's own numbers: None, or a pair of numbers or of arrays of one number.

    Raises:
        UserError: (a ValueError) it is something else, or its ends are not finite or not in order.
    """
    if clip_values is None:
        return None
    try:
        ends = [np.unique(_numbers(end)) for end in clip_values]
    except (TypeError, ValueError, RuntimeError):
        ends = []
    if [len(end) for end in ends] == [1, 1]:
        low, high = (float(end[0]) for end in ends)
        if -float("inf") < low < high < float("inf"):
            return low, high
    several = any(len(end) > 1 for end in ends)
    found = "arrays with another range for each pixel" if several else shown(clip_values)
    raise UserError(f"clip_values must be None or a pair (low, high) for all pixels with low < high, found {found}")


def _numbers(end: Any) -> npt.NDArray[np.float64]:
    """One end of a range, a number or an array of them; text is neither."""
    if isinstance(end, str):
        raise TypeError
    return np.asarray(end.detach().cpu() if isinstance(end, Tensor) else end, dtype=np.float64)
