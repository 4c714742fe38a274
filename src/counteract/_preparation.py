"""Preparation of pictures of any size for a network: they are resized, then cropped, as torchvision does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from counteract._errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]


@dataclass(frozen=True)
class Preparation:
    """The way from a picture to an image for a network.

    Attributes:
        resize: The length of the shorter side after resizing, or height and width; None leaves the picture as it is.
        crop: Height and width of what is cropped from the centre; None crops nothing.
        interpolation: The filter of the resizing, which is antialiased.
        asked: True where a user said so, False where it is a network's own.
    """

    resize: int | tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    interpolation: Interpolation = "bilinear"
    asked: bool = False

    def __call__(self, picture: Image) -> Image:
        """Returns a picture resized and cropped; one that is smaller than the crop gets black sides."""
        return self.cropped(self.resized(picture))

    def resized(self, picture: Image) -> Image:
        """Returns a picture resized."""
        from torchvision.transforms import functional as F
        from torchvision.transforms.functional import InterpolationMode

        if self.resize is None:
            return picture
        size = [self.resize] if isinstance(self.resize, int) else list(self.resize)
        found: Image = F.resize(picture, size, InterpolationMode(self.interpolation))
        return found

    def cropped(self, picture: Image) -> Image:
        """Returns a picture cropped, which was resized."""
        from torchvision.transforms import functional as F

        return picture if self.crop is None else F.center_crop(picture, list(self.crop))

    def pads(self, picture: Image) -> bool:
        """Returns True for a picture, which was resized, that is smaller than the crop."""
        height, width = self.crop or (0, 0)
        return picture.height < height or picture.width < width

    def __str__(self) -> str:
        """Returns what is done, in words."""
        size = f"{self.resize} on the shorter side" if isinstance(self.resize, int) else _sides(self.resize)
        found = [f"resized to {size} ({self.interpolation})"] if self.resize is not None else []
        found += [f"cropped to {_sides(self.crop)}"] if self.crop is not None else []
        return ", ".join(found) or "as they are"


def _sides(size: tuple[int, int] | None) -> str:
    return " x ".join(map(str, size or ()))


def common(preparations: dict[str, Preparation]) -> Preparation | None:
    """Returns the preparation that several networks have in common, by their labels; None where there are none.

    Raises:
        UserError: (a ValueError) they differ.
    """
    found: Preparation | None = None
    for label, other in preparations.items():
        if found is not None and other != found:
            raise UserError(
                f"model {label} wants its pictures {other}, another one {found}: say --resize and --crop, or evaluate "
                "them in runs of their own"
            )
        found = other
    return found
