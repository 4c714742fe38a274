"""Test of a backward pass: a network's gradients beside finite differences of its own answers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from counteract import _random
from counteract._network import borrowed, dtype_of
from counteract._seeding import seeded
from counteract.defended import DefendedModule
from counteract.preprocessors.adapter import Adapted
from counteract.preprocessors.first_order import FirstOrderPreprocessor
from counteract.whole import Defended, WholeModule

Kind: TypeAlias = Literal["exact", "masked", "estimate", "wrong", "none"]
"""The findings: the gradient is that of the answers; it is, and leads nowhere over an attack's steps; it is not, but
leads up in the mean; nor that; there is none."""

FEW = 8
"""The images that are looked at."""

_EXECUTIONS = 2
"""Executions of a defence that averages many: they are all made in the same way."""

_DIRECTIONS = 8
"""Random directions beside the attack's own."""

_PRECISE, _SINGLE = (1e-6, 1e-4), (1e-4, 5e-4, 2e-3)
"""Steps that cross few kinks: in float64, and in float32, where round-off must not matter."""

_COARSE, _AROUND = (4 / 255, 8 / 255), 4
"""Steps of the size of an attack's; and the random points around an image that the mean is taken over there."""

_EXACT, _SINGLE_EXACT, _LEADS, _MASKED = 0.97, 0.9, 0.6, 0.4
"""The least cosines: of a gradient that is exact, in float64 and in float32; of an estimate that leads up; and over an
attack's steps of an exact one that is not masked."""

_MARGIN, _NEAR = 9 / 255, 4 / 255
"""The distance that points keep from the bounds of pixels, beyond every step; and that of random points around them."""

_ROUND_OFF = {torch.float32: 3e-6, torch.float64: 1e-13}
"""The share of the largest score that a difference must exceed to mean anything."""

Answer = Callable[[Tensor], Tensor]
"""A network with fixed draws: images, shape (N, C, H, W), to scores, shape (N, classes)."""


@dataclass(frozen=True)
class Backward:
    """The finding about one backward pass.

    Attributes:
        kind: The finding.
        cosine: The median over images of the cosine between the slopes that gradients promise along random directions
            and those that answers have, at the step where it is largest.
        slope: The median of the slope of the answers along the gradient's sign, as a share of the promised one.
        step: That step.
        images: The number of images with a gradient.
        declared: True where it is that of the network alone, whose defences pass gradients back by an estimate of which
            they say so themselves.
    """

    kind: Kind
    cosine: float = 0.0
    slope: float = 0.0
    step: float = 0.0
    images: int = 0
    declared: bool = False

    @property
    def misleads(self) -> bool:
        """True where the gradient leads an attack nowhere."""
        return self.kind in ("wrong", "masked")

    @property
    def words(self) -> str:
        """The figures in words."""
        return (
            f"along random directions the cosine between what gradients promise and what answers do is "
            f"{self.cosine:.2f}, along the gradient's sign answers change by {self.slope:.2f} of the promise (step "
            f"{self.step:.2g}, {self.images} images)"
        )


def look_through(defended: Defended, images: Tensor, labels: Tensor, keys: Tensor) -> Backward:
    """Compares gradients with finite differences, of the network alone where its defences declare an estimate.

    Args:
        defended: The network with its defence; it is left as it was found.
        images: A few images in [0, 1], shape (N, C, H, W).
        labels: Their true labels, int64, shape (N,).
        keys: The keys of their draws, int64, shape (N,).
    """
    if isinstance(defended, WholeModule):
        return look_back(defended, images, labels, keys)
    if not _declares(defended):
        return look_back(defended.with_parts(lambda part: part, _EXECUTIONS), images, labels, keys)
    network = defended.model if isinstance(defended.model, WholeModule) else DefendedModule(defended.model)
    return replace(look_back(network, images, labels, keys), declared=True)


def _declares(defended: DefendedModule) -> bool:
    """Returns True where a part says that its gradient is an estimate; those of ours that take signs do."""
    estimated = [
        part.gradient != "exact" if isinstance(part, Adapted) else isinstance(part, FirstOrderPreprocessor)
        for part in defended.parts
    ]
    return any(estimated) or bool(defended.postprocessing_defences)


def look_back(defended: Defended, images: Tensor, labels: Tensor, keys: Tensor) -> Backward:
    """Compares gradients with finite differences of the answers, every draw fixed.

    Small steps come first, in float64 where a copy of the network can compute in that: an exact gradient agrees there,
    whatever kinks and jumps there are between. Then means over points around an image are compared over steps as large
    as an attack's: an estimate that stands in for a derivative, such as the identity through a quantiser, agrees in the
    mean, and an exact gradient does not where ripples or jumps mask the way up.

    Args:
        defended: The network; it is left as it was found.
        images: A few images in [0, 1], shape (N, C, H, W).
        labels: Their true labels, int64, shape (N,).
        keys: The keys of their draws, int64, shape (N,).
    """
    points, labels, keys = _inside(images[:FEW], keys[:FEW]), labels[:FEW], keys[:FEW]
    with borrowed(defended):
        single = _Slopes(defended, points, labels, keys)
        close = _close(single, _in_float64(defended, points, keys))
        coarse = None if close is None else _best(single, _COARSE, _LEADS, around=_AROUND)
    if close is None or coarse is None:
        return close or Backward("none")
    exact = close.kind == "exact"
    if exact and coarse.cosine >= _MASKED:
        return close
    return replace(coarse, kind="masked" if exact else "estimate" if coarse.cosine >= _LEADS else "wrong")


def _close(single: _Slopes, precise: Defended | None) -> Backward | None:
    """Returns the agreement over small steps, exact or wrong, in float64 where that can be; None if nothing is there.

    Args:
        single: The network at some points.
        precise: A copy of it that computes in float64, or None.
    """
    if precise is not None:
        with borrowed(precise):
            points = single.points.double()
            found = _best(_Slopes(precise, points, single.labels, single.keys), _PRECISE, _EXACT)
        if found is None or found.cosine >= _EXACT:
            return found
    found = _best(single, _SINGLE, _SINGLE_EXACT)
    if found is None or (precise is None and found.cosine >= _SINGLE_EXACT):
        return found
    return replace(found, kind="wrong")


class _Slopes:
    """A network's lead of the likeliest other class at some points, with its gradients and its differences."""

    def __init__(self, defended: Defended, points: Tensor, labels: Tensor, keys: Tensor) -> None:
        self.defended, self.points, self.labels, self.keys = defended, points, labels, keys
        with torch.no_grad():
            scores = self._answer(points)
        self.usable = scores.isfinite().all(1)
        self.size = scores.nan_to_num(posinf=0, neginf=0).abs().amax(1)
        self.rivals = scores.nan_to_num().scatter(1, labels.unsqueeze(1), -torch.inf).argmax(1)

    def _answer(self, points: Tensor) -> Tensor:
        with seeded(0):
            answers: Tensor = self.defended(points, self.keys)
        return answers

    def lead(self, points: Tensor) -> Tensor:
        """The lead of the rival class at some points: shape (N,)."""
        scores = self._answer(points)
        rows = torch.arange(len(scores), device=scores.device)
        return scores[rows, self.rivals] - scores[rows, self.labels]

    def gradient(self, points: Tensor) -> Tensor:
        """The gradient that the network hands back: of the shape of the points."""
        points = points.clone().requires_grad_()
        try:
            with torch.enable_grad():
                (found,) = torch.autograd.grad(self.lead(points).sum(), points)
        except RuntimeError:  # autograd's, for answers that do not depend on the images by anything that it knows of
            return torch.zeros_like(points)
        return found.nan_to_num(0, 0, 0)

    def differences(self, points: Tensor, direction: Tensor, step: float) -> Tensor:
        """The change of the lead between a step ahead and one back: shape (N,)."""
        with torch.no_grad():
            return self.lead(points + step * direction) - self.lead(points - step * direction)


def _best(slopes: _Slopes, steps: Sequence[float], enough: float, around: int = 1) -> Backward | None:
    """Returns the agreement at the step where it is best, or first enough; None where there is nothing to compare.

    Args:
        slopes: The network.
        steps: The sizes of the steps.
        enough: The cosine that is enough.
        around: The number of points over which gradients and differences are averaged: the images, or around them.
    """
    centres = [_shifted(slopes.points, slopes.keys, number) for number in range(around)] if around > 1 else None
    centres = centres or [slopes.points]
    gradient = torch.stack([slopes.gradient(points) for points in centres]).mean(0)
    steep = slopes.usable & (gradient != 0).flatten(1).any(1)
    best: Backward | None = None
    for step in steps:
        found = _agreement(slopes, centres, gradient, steep, step)
        if found is not None and (best is None or found.cosine > best.cosine):
            best = found
        if best is not None and best.cosine >= enough:
            break
    return best


def _agreement(
    slopes: _Slopes, centres: Sequence[Tensor], gradient: Tensor, steep: Tensor, step: float
) -> Backward | None:
    """Returns the agreement at one step, over the images where a difference stands out of round-off, if most do."""
    randoms = [_signs(slopes.points, slopes.keys, number) for number in range(_DIRECTIONS)]
    every = [gradient.sign(), *randoms]
    promised = torch.stack([2 * step * (gradient * each).flatten(1).sum(1) for each in every])
    seen = torch.stack(
        [torch.stack([slopes.differences(points, each, step) for points in centres]).mean(0) for each in every]
    )
    floor = _ROUND_OFF[promised.dtype] * slopes.size
    clear = torch.maximum(_length(promised[1:]), _length(seen[1:])) > 20 * floor
    good = steep & clear & seen.isfinite().all(0)
    if 2 * int(good.sum()) < max(int(steep.sum()), 1):
        return None
    promised, seen = promised[:, good], seen[:, good]
    product = _length(promised[1:]) * _length(seen[1:])
    cosines = (promised[1:] * seen[1:]).mean(0) / product.clamp(min=torch.finfo(product.dtype).tiny)
    ratios = seen[0] / promised[0]
    return Backward("exact", float(cosines.median()), float(ratios.median()), step, int(good.sum()))


def _length(slopes: Tensor) -> Tensor:
    """The root of the mean square over directions."""
    return slopes.square().mean(0).sqrt()


def _in_float64(defended: Defended, points: Tensor, keys: Tensor) -> Defended | None:
    """A copy of a network that computes in float64; None where it cannot, or answers otherwise."""
    try:
        precise = copy.deepcopy(defended).double()
        with torch.no_grad(), seeded(0):
            expected = defended(points, keys)
        with torch.no_grad(), seeded(0):
            found = precise(points.double(), keys)
    except Exception:  # noqa: BLE001 - a stranger's code may raise anything; then float32 must do
        return None
    if dtype_of(precise.model) != torch.float64:
        return None
    near = torch.allclose(found.float(), expected.float(), rtol=1e-2, atol=1e-3, equal_nan=True)
    return precise if near and found.dtype == torch.float64 else None


def _inside(images: Tensor, keys: Tensor) -> Tensor:
    """Points like the images, off every grid, with room to both sides for the largest step."""
    low = _MARGIN + 2 * _NEAR
    return _shifted(low + (1 - 2 * low) * images, keys, -1)


def _shifted(points: Tensor, keys: Tensor, number: int) -> Tensor:
    """Random points around some points."""
    shape = points.shape[1:]
    noise = 2 * _random.uniform(_random.fold(keys, number), shape.numel()) - 1
    return points + _NEAR * noise.view(len(points), *shape).to(points.dtype)


def _signs(points: Tensor, keys: Tensor, number: int) -> Tensor:
    """A random direction for each point."""
    shape = points.shape[1:]
    draws = _random.uniform(_random.fold(_random.fold(keys, _DIRECTIONS), number), shape.numel())
    return (2 * (draws >= 0.5).to(points.dtype) - 1).view(len(points), *shape)
