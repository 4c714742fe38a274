"""A randomised network's loss, averaged over keyed draws, and its gradient (EOT)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from counteract import _random
from counteract._batches import GRANULE
from counteract._network import with_graph
from counteract._passes import images_kept
from counteract.attacks.losses import Loss, counted, margin, of_rows

Scores = Callable[[Tensor, Tensor], Tensor]
"""A network as attacks see it: images, shape (N, C, H, W), and keys, int64, shape (N,), to scores (N, classes)."""

Average: TypeAlias = Literal["outputs", "losses"]
"""The average that a loss is taken of: the draws' outputs, or the draws' losses."""


class Slope(NamedTuple):
    """An objective at some points.

    Attributes:
        values: The loss of each example, shape (N,).
        gradients: Its gradients, shape (N, C, H, W).
        leads: The margin of the last network's mean output, shape (N,): above zero where that is wrong.
    """

    values: Tensor
    gradients: Tensor
    leads: Tensor


@dataclass(frozen=True)
class Objective:
    """The loss that an attack maximises, for a batch of examples.

    The draws of a step are functions of an example's key, the step and the draw's number, so that the result does not
    depend on the batch. Through a defence that passes gradients back as the identity (counteraction and its peers) the
    gradient is that of BPDA; with several draws, of EOT (Athalye et al. 2018).

    A draw whose answer is not finite counts as wrong: see `counted`. Where a gradient is not a number it is zero.

    Attributes:
        networks: The networks that are attacked at once; the loss is the mean of theirs.
        loss: The loss of scores and labels.
        labels: The true labels, int64, shape (N,).
        keys: One key an example, from which draws are made.
        draws: The number of draws that the loss is averaged over.
        average: `"outputs"`: the loss of the mean probabilities, which is what a defence that averages is scored by;
            or `"losses"`: the mean of the draws' losses.
        known: The keys of the very draws, int64, shape (N, K), where the attacker knows them; `draws` is then K.
        certain: True where the last network's answers depend on no draws, so that a point it misclassifies is one.
    """

    networks: Sequence[Scores]
    loss: Loss
    labels: Tensor
    keys: Tensor
    draws: int = 1
    average: Average = "outputs"
    known: Tensor | None = None
    certain: bool = False

    def value(self, images: Tensor, step: int) -> Tensor:
        """The loss of each example with the draws of a step: shape (N,), without gradient."""
        with torch.no_grad():
            return self._combine([network(images, keys) for network, keys in self._calls(step)])

    def gradient(self, images: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """The same, and its gradient, of the shape of `images`."""
        return self.slope(images, step)[:2]

    def slope(self, images: Tensor, step: int) -> Slope:
        """The same, and who leads; the memory does not grow with images or draws.

        Images do not depend on each other: they are taken in groups whose draws' graphs are kept. Where those of a few
        images are too many, each draw is computed again when it is needed; a single one bounds its memory itself.
        """
        executions = [getattr(network, "executions", 1) for network, _ in self._calls(step)]
        together = images_kept(images, sum(executions))
        keep = together > 0 or len(executions) == 1
        together = together or images_kept(images, max(executions)) or GRANULE
        groups = [slice(start, start + together) for start in range(0, len(images), together)]
        found = [self._of(rows)._slope(images[rows], step, keep=keep) for rows in groups]
        return Slope(*map(torch.cat, zip(*found, strict=True)))

    def _of(self, rows: slice) -> Objective:
        """That of some of the examples."""
        known = None if self.known is None else self.known[rows]
        return replace(self, loss=of_rows(self.loss, rows), labels=self.labels[rows], keys=self.keys[rows], known=known)

    def _slope(self, images: Tensor, step: int, *, keep: bool) -> Slope:
        """The objective of a group of examples, whose draws' graphs are kept or made twice."""
        points, calls = images.detach().requires_grad_(), self._calls(step)
        with torch.set_grad_enabled(keep):
            outputs = [network(points, keys) for network, keys in calls]
        with torch.enable_grad():
            leaves = [output.detach().requires_grad_() for output in outputs]
            values = self._combine(leaves)
            weights = torch.autograd.grad(values.sum(), leaves)
            gradient = torch.zeros_like(images)
            for (network, keys), output, weight in zip(calls, outputs, weights, strict=True):
                again = with_graph(output if keep else network(points, keys), points)
                gradient += torch.autograd.grad(again, points, weight)[0].nan_to_num(0, torch.inf, -torch.inf)
        last = [counted(output.detach(), self.labels) for output in outputs[-(len(outputs) // len(self.networks)) :]]
        return Slope(values.detach(), gradient, margin(mean_output(last), self.labels))

    def _calls(self, step: int) -> list[tuple[Scores, Tensor]]:
        """Each network with the keys of each draw, all draws of the first network first."""
        if self.known is not None:
            every = list(self.known.unbind(1))
        else:
            stream = _random.fold(self.keys, step)
            every = [_random.fold(stream, draw) for draw in range(self.draws)]
        return [(network, keys) for network in self.networks for keys in every]

    def _combine(self, outputs: Sequence[Tensor]) -> Tensor:
        """The loss of all outputs, network by network and draw by draw."""
        outputs = [counted(scores, self.labels) for scores in outputs]
        draws = len(outputs) // len(self.networks)
        parts = [outputs[start : start + draws] for start in range(0, len(outputs), draws)]
        return torch.stack([self._loss(part) for part in parts]).mean(0)

    def _loss(self, draws: Sequence[Tensor]) -> Tensor:
        if self.average == "losses":
            return torch.stack([self.loss(scores, self.labels) for scores in draws]).mean(0)
        return self.loss(mean_output(draws), self.labels)


def mean_output(draws: Sequence[Tensor]) -> Tensor:
    """The logarithm of the mean probability over draws of scores; a single draw's scores as they are."""
    if len(draws) == 1:
        return draws[0]
    return torch.stack([scores.log_softmax(1) for scores in draws]).logsumexp(0) - math.log(len(draws))
