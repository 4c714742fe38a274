"""Square in L2: random search that moves the change's energy into small windows; it needs scores, and no gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from counteract import _random
from counteract.attacks.norms import NORMS
from counteract.attacks.objective import Objective
from counteract.attacks.square import draw_signs, share_covered

_L2 = NORMS["L2"]

_TILES, _LEAST_SIDE = 5, 3
"""The number of tiles along an edge of the first change, and the least side of a window."""

_TINY = 1e-12
"""The number that is added where a length may be zero."""


def square_l2(objective: Objective, images: Tensor, keys: Tensor, *, eps: float, queries: int) -> tuple[Tensor, Tensor]:
    """Empties a window of the change, puts a bump with what is left of the bound into another, and keeps the better.

    It does not stop at a misclassification, and asks with the same draws throughout: see `square`.

    Source: Andriushchenko et al., "Square Attack", ECCV 2020, the L2 attack, in the form that AutoAttack has.

    Args:
        objective: The loss to be maximised; of its gradient no use is made.
        images: Clean images in [0, 1], shape (N, C, H, W).
        keys: One key an image, from which windows, signs and directions are drawn.
        eps: The largest change in L2.
        queries: The number of times that the loss is asked for.

    Returns:
        The points of the highest loss, and these losses, shape (N,).
    """
    best = _spread(images, _tiles(keys, images), eps)
    values = objective.value(best, 0)
    for query in range(1, queries):
        tried = _spread(
            images, _moved(best - images, _random.fold(keys, query), _side(images, query, queries), eps), eps
        )
        found = objective.value(tried, 0)
        better = found > values
        best = torch.where(better.view(-1, 1, 1, 1), tried, best)
        values = torch.where(better, found, values)
    return best, values


def _spread(images: Tensor, changes: Tensor, eps: float) -> Tensor:
    """The images with changes that are scaled to the bound, inside [0, 1]."""
    return (images + _L2.steepest(changes) * eps).clamp(0, 1)


def _tiles(keys: Tensor, images: Tensor) -> Tensor:
    """The first change: a bump in each of five by five tiles, its sign drawn for each image and channel."""
    height, width = images.shape[2:]
    side = max(1, min(height, width) // _TILES)
    first = [(length - side * _TILES) // 2 if length >= _TILES else 0 for length in (height, width)]
    rows, columns = (
        range(start, length - side + 1, side) for start, length in zip(first, (height, width), strict=True)
    )
    changes = torch.zeros_like(images)
    for number, (row, column) in enumerate((row, column) for row in rows for column in columns):
        changes[:, :, row : row + side, column : column + side] = _bumps(_random.fold(keys, -1 - number), images, side)
    return changes


def _moved(changes: Tensor, keys: Tensor, side: int, eps: float) -> Tensor:
    """The changes with a window emptied, and a bump in another of the length that then makes the bound up."""
    channels = changes.shape[1]
    target, source = (_window(_random.fold(keys, window), changes, side) for window in (1, 2))
    inside = torch.zeros_like(changes)
    for window in (source, target):
        inside[window] = 1.0
    rest = (eps**2 - _L2.size(changes) ** 2).clamp(min=0).view(-1, 1, 1, 1)
    lengths = (rest / channels + (changes * inside).pow(2).sum((2, 3), keepdim=True)).sqrt()
    old = changes[target].permute(0, 3, 1, 2)
    bumps = _bumps(keys, changes, side) + old / (_TINY + _length(old))
    moved = changes.clone()
    moved[source] = 0.0
    moved[target] = (bumps / (_TINY + _length(bumps)) * lengths).permute(0, 2, 3, 1)
    return moved


def _length(windows: Tensor) -> Tensor:
    """The length of each channel of each window: shape (N, C, 1, 1)."""
    found: Tensor = torch.linalg.vector_norm(windows, dim=(2, 3), keepdim=True)
    return found


def _side(images: Tensor, query: int, queries: int) -> int:
    """The side of a query's window: odd, as bumps have a middle, and no longer than the image's."""
    height, width = images.shape[2:]
    side = max(round((share_covered(query, queries) * height * width) ** 0.5), _LEAST_SIDE)
    return int(min(side + (side % 2 == 0), height, width))


def _window(keys: Tensor, images: Tensor, side: int) -> tuple[Tensor, slice, Tensor, Tensor]:
    """The index of a window of this side, at a place of each image's own; what it finds has channels last."""
    place, edges = _random.uniform(_random.fold(keys, 0), 2), []
    for axis, length in enumerate(images.shape[2:]):
        first = _random.below(place[:, axis], length - side + 1).unsqueeze(1)
        edges.append(first + torch.arange(side, device=keys.device))
    rows, columns = edges
    return torch.arange(len(keys), device=keys.device)[:, None, None], slice(None), rows[:, :, None], columns[:, None]


def _bumps(keys: Tensor, images: Tensor, side: int) -> Tensor:
    """Bumps of length 1 in each channel, upright or lying, of signs of their own: shape (N, C, side, side)."""
    bump = _bump(side).to(images)
    lying = _random.uniform(_random.fold(keys, 3), 1).view(-1, 1, 1, 1) > 0.5
    signs = draw_signs(keys, images.shape[1]).to(images.dtype).view(-1, images.shape[1], 1, 1)
    return torch.where(lying, bump.t(), bump) * signs


def _bump(side: int) -> Tensor:
    """A window of two halves of opposite signs, each highest in its middle."""
    half = side // 2
    halves = [_half(half, side)] * (half > 0) + [-_half(side - half, side)]
    bump = torch.cat(halves)
    return bump / _L2.size(bump.unsqueeze(0))


def _half(height: int, width: int) -> Tensor:
    """Rectangles one in another, whose heights fall off as the square of their number."""
    found = torch.zeros(height, width)
    top, left = height // 2, width // 2
    for number in range(max(top, left) + 1):
        size = 2 * number + 1
        rows = slice(max(top - number, 0), min(top - number + size, height))
        columns = slice(max(left - number, 0), min(left - number + size, width))
        found[rows, columns] += 1 / (number + 1) ** 2
    return found / _L2.size(found.unsqueeze(0))
