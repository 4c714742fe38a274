"""RayS: a decision-based attack, which is told labels alone."""

from __future__ import annotations

import torch
from torch import Tensor

from counteract.attacks.norms import LINF, Norm
from counteract.attacks.objective import Objective

_PRECISION = 0.05
"""The precision of a distance, in units of eps."""


def rays(objective: Objective, images: Tensor, *, eps: float, queries: int, norm: Norm = LINF) -> Tensor:
    """Looks for the direction of signs along which the decision boundary is nearest, by flipping ever smaller blocks.

    Along each direction that misclassifies at the best distance so far the distance is bisected. Each example has its
    own course, one query at a time, so that it does not depend on the others of its batch.

    The paper's is the max norm. In another one the same directions are gone along by distances in that norm: sound, but
    no match for attacks that were made for it, since each direction changes all pixels alike.

    Source: Chen and Gu, "RayS: A Ray Searching Method for Hard-label Adversarial Attack", KDD 2020.

    Args:
        objective: Its loss is positive above one half where the answer is wrong: the share of `wrong` draws.
        images: Clean images in [0, 1], shape (N, C, H, W).
        eps: The largest change.
        queries: The number of times that the answer is asked for.
        norm: The norm in which distances are measured.

    Returns:
        The nearest points that were found; where they are further than eps away, points at eps in their direction.
    """
    search = _Search(images, _PRECISION * eps, norm)
    for _ in range(queries):
        directions, distances = search.question()
        search.answer(objective.value(_along(images, directions, distances, norm), 0) > 0.5)
    return _along(images, search.directions, search.distances.clamp(max=eps), norm)


def _along(images: Tensor, directions: Tensor, distances: Tensor, norm: Norm) -> Tensor:
    """The points at distances along directions of signs, which are as long as the range of all pixels."""
    lengths = distances / norm.largest(images.shape[1:])
    changes = directions.view_as(images) * lengths.view(-1, 1, 1, 1)
    return (images + changes).clamp(0, 1)


class _Search:
    """The state of each example's search, which either tries a flipped block, or bisects along a direction."""

    def __init__(self, images: Tensor, precision: float, norm: Norm) -> None:
        count, pixels = len(images), images[0].numel()
        self.directions = -torch.ones(count, pixels, dtype=images.dtype, device=images.device)
        farthest = norm.largest(images.shape[1:])  # beyond which there is no image
        self.distances = torch.full((count,), farthest, dtype=images.dtype, device=images.device)
        self._precision = precision
        self._low, self._high = torch.zeros_like(self.distances), self.distances.clone()
        self._bisecting = torch.zeros(count, dtype=torch.bool, device=images.device)
        self._blocks = torch.ones(count, dtype=torch.int64, device=images.device)
        self._block = torch.zeros_like(self._blocks)
        self._places = torch.arange(pixels, device=images.device)

    def question(self) -> tuple[Tensor, Tensor]:
        """The directions and distances to ask about: shapes (N, pixels) and (N,)."""
        middle = (self._low + self._high) / 2
        return (
            torch.where(self._bisecting.unsqueeze(1), self.directions, self._flipped()),
            torch.where(self._bisecting, middle, self.distances),
        )

    def answer(self, wrong: Tensor) -> None:
        """Goes on from the answers, True where the label was wrong: bool, shape (N,)."""
        bisecting, tried = self._bisecting, ~self._bisecting
        middle = (self._low + self._high) / 2
        self._high = torch.where(bisecting & wrong, middle, self._high)
        self._low = torch.where(bisecting & ~wrong, middle, self._low)
        done = bisecting & (self._high - self._low < self._precision)
        self.distances = torch.where(done, self._high, self.distances)
        begun = tried & wrong
        self.directions = torch.where(begun.unsqueeze(1), self._flipped(), self.directions)
        self._low = torch.where(begun, torch.zeros_like(self._low), self._low)
        self._high = torch.where(begun, self.distances, self._high)
        self._bisecting = begun | (bisecting & ~done)
        self._next_block(done | (tried & ~wrong))

    def _flipped(self) -> Tensor:
        """The directions with each example's present block turned round."""
        block_of = self._places * self._blocks.unsqueeze(1) // len(self._places)
        return torch.where(block_of == self._block.unsqueeze(1), -self.directions, self.directions)

    def _next_block(self, rows: Tensor) -> None:
        """The next block for some examples; after the last one twice as many, half as large."""
        block = self._block + rows.long()
        over = block == self._blocks
        blocks = torch.where(over, 2 * self._blocks, self._blocks)
        self._block = torch.where(over, torch.zeros_like(block), block)
        self._blocks = torch.where(blocks > len(self._places), torch.ones_like(blocks), blocks)
