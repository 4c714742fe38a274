"""Pictures, tensors and arrays as pixels: what must be done to a picture is said, and nothing is guessed."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from counteract._errors import UserError
from counteract._files import is_file
from counteract._images import ROUND_OFF
from counteract._preparation import Preparation

_CONVERTED = {
    "1": "were black and white, and made RGB",
    "L": "were greyscale, and made RGB",
    "LA": "were greyscale with transparency, which was dropped, and made RGB",
    "P": "had a palette, and were made RGB",
    "PA": "had a palette with transparency, which was dropped, and were made RGB",
    "RGBA": "had transparency, which was dropped",
    "CMYK": "were CMYK, and made RGB",
    "YCbCr": "were YCbCr, and made RGB",
    "LAB": "were LAB, and made RGB",
    "HSV": "were HSV, and made RGB",
}
"""The modes of pictures that are converted, and the words for it; others have more than 256 levels."""

_ORIENTATION, _TURNED = 0x0112, range(2, 9)
"""The tag of EXIF that says how a viewer should turn a picture, and its values that say more than not at all."""

_AS_STORED = "are taken as they are stored, not as their EXIF data would have them turned"
"""The words for such pictures: torchvision's datasets do not turn them either."""

_PADDED = "were smaller than the crop, and got black sides"
"""The words for those."""


@dataclass(frozen=True)
class Pixels:
    """An image.

    Attributes:
        pixels: uint8 of shape (H, W, C), or float32 in [0, 1] of shape (C, H, W).
        said: What was done to it and what was not, in words.
    """

    pixels: npt.NDArray[Any]
    said: tuple[str, ...] = ()


def open_picture(path: Path) -> Image.Image:
    """Reads a file to its end.

    Raises:
        UserError: (a ValueError) it is no file, or no picture.
        Exception: whatever Pillow raises for a damaged one.
    """
    if not is_file(path):
        raise UserError("it is no file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata; what is too large is an error
        try:
            with Image.open(path) as picture:
                picture.load()
                return picture
        except UnidentifiedImageError:
            raise UserError("it is no picture that Pillow knows") from None


def to_pixels(image: Any, preparation: Preparation | None) -> Pixels:
    """Returns an image as pixels.

    Args:
        image: A picture of Pillow's, a tensor or an array: uint8 or in [0, 1], its channels first or last.
        preparation: The way from a picture to an image; one that a user asked for is no way for anything else.

    Raises:
        UserError: (a ValueError) it is something else.
    """
    if isinstance(image, Image.Image):
        return _of_picture(image, preparation)
    if preparation is not None and preparation.asked:
        raise UserError("resizing and cropping are for pictures, and it is an array already: leave them out")
    if isinstance(image, Tensor):
        return _of_array(image.detach().cpu().numpy(), first=True)
    if isinstance(image, np.ndarray):
        return _of_array(image, first=False)
    raise UserError(f"it must be a picture of Pillow's, a tensor or an array, found {type(image).__name__}")


def _of_picture(picture: Image.Image, preparation: Preparation | None) -> Pixels:
    said = [_AS_STORED] if _is_turned(picture) else []
    if picture.mode != "RGB":
        if picture.mode not in _CONVERTED:
            raise UserError(
                f"its mode is {picture.mode}, which has more than 256 levels: save it with 8 bits a channel"
            )
        said.append(_CONVERTED[picture.mode])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of palettes with transparency
            picture = picture.convert("RGB")
    if preparation is not None:
        picture = preparation.resized(picture)
        said += [_PADDED] if preparation.pads(picture) else []
        picture = preparation.cropped(picture)
    return Pixels(np.array(picture), tuple(said))


def _is_turned(picture: Image.Image) -> bool:
    """Returns True for a picture whose EXIF data want it turned or mirrored."""
    try:
        return picture.getexif().get(_ORIENTATION) in _TURNED
    except Exception:  # noqa: BLE001  (damaged metadata may raise anything, and the pixels are there all the same)
        return False


def _of_array(array: npt.NDArray[Any], *, first: bool) -> Pixels:
    """Returns an array as pixels: of two places that channels may have, those of a tensor stand first."""
    if array.ndim == 2:
        array = array[None] if first else array[..., None]
    if array.ndim != 3:
        raise UserError(f"it must have a height, a width and channels, found {array.shape}")
    leading, trailing = array.shape[0] in (1, 3), array.shape[-1] in (1, 3)
    if not (leading or trailing):
        raise UserError(f"it must have one channel or three, found shape {array.shape}")
    last = trailing and not (first and leading)
    if array.dtype == np.uint8:
        return Pixels(np.ascontiguousarray(array if last else array.transpose(1, 2, 0)))
    if not np.issubdtype(array.dtype, np.floating):
        raise UserError(f"it must be uint8 or floating point, found {array.dtype}")
    found = np.ascontiguousarray(array.transpose(2, 0, 1) if last else array, dtype=np.float32)
    low, high = (float(found.min()), float(found.max())) if found.size else (np.nan, np.nan)
    if not (low >= -ROUND_OFF and high <= 1 + ROUND_OFF):  # False for NaN
        raise UserError(
            f"its pixels run from {low:.4g} to {high:.4g} and must lie in [0, 1]: leave normalisation to the network"
        )
    return Pixels(found)
