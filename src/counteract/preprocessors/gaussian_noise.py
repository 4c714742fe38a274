"""Gaussian noise, added to the input: a baseline of the paper's Table 3."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from typing_extensions import Unpack

from counteract import _random
from counteract._clamp import clamp
from counteract.preprocessors.base import Options, RandomPreprocessor, check_change


class GaussianNoise(RandomPreprocessor[Tensor]):
    """Adds independent Gaussian noise to every pixel.

    Source: the baseline of Pang et al., "Mixup inference", ICLR 2020 (standard deviation 0.05 for pixels in [-1, 1],
    not clipped), after Tabacof and Valle 2016.

    Args:
        std: The standard deviation, in units of the pixels: from 0 to the width of their range.
        **options: Those of `RandomPreprocessor`; but where no `clip_values` are given, noisy pixels of [0, 1] stay
            where they are, as in the source. With a range, they are clamped to it; None is for any pixels.

    Raises:
        UserError: (a ValueError) an argument is out of its range.

    Examples:
        >>> from counteract import GaussianNoise
        >>> from counteract.datasets import load_dataset
        >>> images, _ = GaussianNoise(std=0.05, seed=0)(load_dataset("digits").take(8).images.numpy())
        >>> images.shape
        (8, 3, 32, 32)
    """

    params: ClassVar[list[str]] = [*RandomPreprocessor.params, "std"]

    def __init__(
        self,
        std: float = 0.025,
        **options: Unpack[Options],
    ) -> None:
        self._pixels = options.get("clip_values", (0.0, 1.0))
        options.setdefault("clip_values", None)
        super().__init__(**options)
        self.std = std
        self._check_params()

    def draw(self, keys: Tensor, x: Tensor, prepared: Tensor | None) -> Tensor:
        """Draws standard normal noise of the images' shape."""
        del prepared
        return _random.normal(keys, x.shape[1:])

    def apply(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Adds `std` times the noise, and clamps if there are `clip_values`."""
        noisy = x + self.std * parameters.to(x.dtype)
        return noisy if self.clip_values is None else clamp(noisy, *self.clip_values)

    def _check_params(self) -> None:
        super()._check_params()
        self.std = check_change("std", self.std, self.clip_values or self._pixels)

    def _stays_in_range(self, in_range: bool) -> bool:
        del in_range
        return self.clip_values is not None
