"""Norms: the size of a change, the nearest one within a bound, the steepest step, and noise that fills the ball."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from counteract import _random
from counteract._errors import UserError
from counteract._pgd import by_signs

Name = Literal["Linf", "L2", "L1"]
"""The names of the norms."""

_TINY = 1e-10
"""The number that torchattacks adds to the length of a gradient."""

_FLAT = 1e-8
"""The largest slope at which that number would be felt: a gradient below is scaled up first."""


class Norm(ABC):
    """A norm, as the bounds and the searches use it; changes are one a row, shape (N, C, H, W).

    Attributes:
        name: Its name.
        eps: The bound of whoever names none, for pixels in [0, 1].
    """

    name: Name
    eps: float

    @abstractmethod
    def size(self, changes: Tensor) -> Tensor:
        """The size of each change: shape (N,)."""

    @abstractmethod
    def shrink(self, changes: Tensor, eps: float) -> Tensor:
        """The nearest changes of a size of at most eps."""

    @abstractmethod
    def noise(self, keys: Tensor, count: int) -> Tensor:
        """Changes of so many numbers, uniform over those of a size of at most 1: shape (N, count), one key a row."""

    @abstractmethod
    def largest(self, shape: Sequence[int]) -> float:
        """The size of the change from black to white of an image of this shape; none is larger."""

    def steepest(self, gradients: Tensor) -> Tensor:
        """The changes of size 1 along which the slope is steepest; none where the gradient is zero.

        Raises:
            UserError: (a ValueError) no search here climbs in this norm.
        """
        del gradients
        raise UserError(f"norm {self.name}: {climbs_in(CLIMBED)}")

    def project(self, points: Tensor, images: Tensor, eps: float) -> Tensor:
        """Points within eps of the images and in [0, 1]: the nearest in the ball, their pixels cut off at the range.

        Cutting brings a pixel nearer to that of the image, which lies in the range, so that the ball is not left.
        """
        return (images + self.shrink(points - images, eps)).clamp(0, 1)

    def move(self, points: Tensor, gradients: Tensor, images: Tensor, step: float, eps: float) -> Tensor:
        """The points a step up the gradient, projected; where torchattacks has PGD in this norm, one step of that."""
        return self.project(points + step * self.steepest(gradients), images, eps)

    def spell(self, size: float) -> str:
        """Returns a size in words."""
        return f"{size:.4g}"


class Linf(Norm):
    """The max norm: the largest change of a pixel."""

    name = "Linf"
    eps = 8 / 255

    def size(self, changes: Tensor) -> Tensor:
        """The largest change of a pixel."""
        return changes.abs().flatten(1).amax(1)

    def shrink(self, changes: Tensor, eps: float) -> Tensor:
        """The changes, each pixel's cut off."""
        return changes.clamp(-eps, eps)

    def noise(self, keys: Tensor, count: int) -> Tensor:
        """Numbers that are uniform over [-1, 1)."""
        return 2 * _random.uniform(keys, count) - 1

    def largest(self, shape: Sequence[int]) -> float:
        """1, the range of a pixel."""
        del shape
        return 1.0

    def steepest(self, gradients: Tensor) -> Tensor:
        """The signs."""
        return gradients.sign()

    def project(self, points: Tensor, images: Tensor, eps: float) -> Tensor:
        """The nearest points within eps of the images and in [0, 1]; one that is there already keeps its bits."""
        return torch.min(torch.max(points, images - eps), images + eps).clamp(0, 1)

    def move(self, points: Tensor, gradients: Tensor, images: Tensor, step: float, eps: float) -> Tensor:
        """The step of torchattacks' PGD."""
        return by_signs(points, gradients, images, step, eps)

    def spell(self, size: float) -> str:
        """Returns a size in grey levels: `8/255`."""
        return f"{255 * size:.4g}/255"


class L2(Norm):
    """The Euclidean norm."""

    name = "L2"
    eps = 0.5

    def size(self, changes: Tensor) -> Tensor:
        """The Euclidean length."""
        length: Tensor = torch.linalg.vector_norm(changes.flatten(1), dim=1)
        return length

    def shrink(self, changes: Tensor, eps: float) -> Tensor:
        """The changes, the longer ones scaled to this length."""
        return changes * _by_row((eps / self.size(changes)).clamp(max=1), changes)

    def noise(self, keys: Tensor, count: int) -> Tensor:
        """A direction that is uniform on the sphere, at a distance that fills the ball: in many dimensions near 1."""
        directions = _random.normal(keys, [count]).double()
        radius = _random.uniform(_random.fold(keys, 0), 1) ** (1 / count)
        return directions * (radius / self.size(directions).unsqueeze(1))

    def largest(self, shape: Sequence[int]) -> float:
        """The square root of the number of values."""
        return math.sqrt(math.prod(shape))

    def steepest(self, gradients: Tensor) -> Tensor:
        """The gradients over their lengths, of tiny ones, too, which a sure network has."""
        most = gradients.nan_to_num(0, 0, 0).abs().flatten(1).amax(1)
        scale = torch.where((most > 0) & (most < _FLAT), most, torch.ones_like(most))
        return self._divided(gradients / _by_row(scale, gradients))

    def move(self, points: Tensor, gradients: Tensor, images: Tensor, step: float, eps: float) -> Tensor:
        """The step of torchattacks' PGDL2, which is shorter where a gradient is tiny."""
        return self.project(points + step * self._divided(gradients), images, eps)

    def _divided(self, gradients: Tensor) -> Tensor:
        finite = gradients.nan_to_num(0, 0, 0)  # one that is no number would spoil those of all other pixels
        return finite / _by_row(self.size(finite) + _TINY, gradients)


class L1(Norm):
    """The sum of the absolute changes; no search of this package climbs in it."""

    name = "L1"
    eps = 12.0

    def size(self, changes: Tensor) -> Tensor:
        """The sum of the absolute values."""
        return changes.abs().flatten(1).sum(1)

    def shrink(self, changes: Tensor, eps: float) -> Tensor:
        """The nearest changes of this sum: each number is moved towards zero by the same amount, as far as it goes.

        Source: Duchi et al., "Efficient projections onto the l1-ball for learning in high dimensions", ICML 2008.
        """
        lengths = changes.abs().flatten(1)
        ordered = lengths.sort(dim=1, descending=True).values
        excess = ordered.cumsum(1) - eps
        ranks = torch.arange(1, lengths.shape[1] + 1, device=changes.device)
        kept = (ordered * ranks > excess).sum(1, keepdim=True).clamp(min=1)
        amount = (excess.gather(1, kept - 1) / kept).clamp(min=0)
        shrunk = (lengths - amount).clamp(min=0).view_as(changes) * changes.sign()
        return torch.where(_by_row(self.size(changes) <= eps, changes), changes, shrunk)

    def noise(self, keys: Tensor, count: int) -> Tensor:
        """Exponential draws over the sum of one more than there are, with signs: uniform over the ball."""
        draws = -torch.log1p(-_random.uniform(keys, count + 1))
        signs = 1 - 2 * (_random.uniform(_random.fold(keys, 0), count) < 0.5).double()
        return signs * draws[:, :count] / draws.sum(1, keepdim=True)

    def largest(self, shape: Sequence[int]) -> float:
        """The number of values."""
        return float(math.prod(shape))


def _by_row(values: Tensor, changes: Tensor) -> Tensor:
    """One value a row, in a shape that goes with changes."""
    return values.view(-1, *[1] * (changes.ndim - 1))


LINF = Linf()
"""The max norm."""

NORMS: dict[Name, Norm] = {norm.name: norm for norm in (LINF, L2(), L1())}
"""The norms by name."""

CLIMBED: tuple[Name, ...] = ("Linf", "L2")
"""The norms that this package's own searches know."""


def climbs_in(norms: Sequence[Name]) -> str:
    """Returns a line about an attack that knows some norms only."""
    return f"it knows the norms {' and '.join(norms)} only"
