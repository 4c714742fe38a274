"""Square in the max norm: random search with squares of one colour; it needs scores, and no gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from counteract import _random
from counteract.attacks.objective import Objective

_FIRST_SHARE = 0.8
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""The share of the image that a square covers, and the queries, of 10,000, after which it is halved."""


def square(objective: Objective, images: Tensor, keys: Tensor, *, eps: float, queries: int) -> tuple[Tensor, Tensor]:
    """Puts squares with colours at the edge of the bounds on the images, and keeps those that raise the loss.

    It does not stop at a misclassification, and asks with the same draws throughout, so that a change is judged by
    itself and not by luck.

    Source: Andriushchenko et al., "Square Attack", ECCV 2020, the max-norm attack.

    Args:
        objective: The loss to be maximised; of its gradient no use is made.
        images: Clean images in [0, 1], shape (N, C, H, W).
        keys: One key an image, from which squares and colours are drawn.
        eps: The largest change of a pixel.
        queries: The number of times that the loss is asked for.

    Returns:
        The points of the highest loss, and these losses, shape (N,).
    """
    channels, height, width = images.shape[1:]
    best = _coloured(images, draw_signs(keys, channels * width).view(-1, channels, 1, width), eps)
    values = objective.value(best, 0)
    for query in range(1, queries):
        side = max(1, min(round((share_covered(query, queries) * height * width) ** 0.5), min(height, width) - 1))
        drawn = _random.fold(keys, query)
        inside = _window(drawn, side, height, width)
        coloured = _coloured(images, draw_signs(drawn, channels).view(-1, channels, 1, 1), eps)
        tried = torch.where(inside, coloured, best)
        found = objective.value(tried, 0)
        better = found > values
        best = torch.where(better.view(-1, 1, 1, 1), tried, best)
        values = torch.where(better, found, values)
    return best, values


def share_covered(query: int, queries: int) -> float:
    """The share of the image that the square of a query covers."""
    return float(_FIRST_SHARE / 2 ** sum(10_000 * query > queries * halving for halving in _HALVINGS))


def _window(keys: Tensor, side: int, height: int, width: int) -> Tensor:
    """A mask of a square of this side, at a place of each image's own: bool, shape (N, 1, H, W)."""
    place = _random.uniform(_random.fold(keys, 0), 2)
    edges = []
    for axis, length in enumerate((height, width)):
        first = _random.below(place[:, axis], length - side + 1).unsqueeze(1)
        pixels = torch.arange(length, device=keys.device)
        edges.append((pixels >= first) & (pixels < first + side))
    return (edges[0].unsqueeze(2) & edges[1].unsqueeze(1)).unsqueeze(1)


def draw_signs(keys: Tensor, count: int) -> Tensor:
    """-1 or 1, `count` of them an image."""
    return 2.0 * (_random.uniform(_random.fold(keys, 1), count) < 0.5) - 1.0


def _coloured(images: Tensor, signs: Tensor, eps: float) -> Tensor:
    """The images with each pixel at the edge of the bounds that its sign names."""
    return (images + eps * signs.to(images.dtype)).clamp(0, 1)
