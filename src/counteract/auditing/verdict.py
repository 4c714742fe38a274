"""Verdict of an audit: one word for what a defence is worth, from its gain, the red flags and the number of images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from counteract.auditing.checklist import Check, claimed_cells, in_points
from counteract.defences import UNDEFENDED
from counteract.evaluation.cascades import comparable
from counteract.evaluation.cells import Cell
from counteract.evaluation.results import Run
from counteract.evaluation.scores import Paired, paired
from counteract.evaluation.worst_cases import survived

Word: TypeAlias = Literal["sound", "no gain", "worse than no defence", "gain not confirmed", "cannot tell"]
"""The verdicts."""

SEEN = 10.0
"""The points of the largest gain that the interval of `no gain` may hold, and of half of its width."""

_MOST = 1_000_000
"""A number of images beyond which none is named."""

_OF_ATTACKS = frozenset({"backward pass", "zero gradients", "planted example", "large eps", "larger eps", "more steps",
                         "convergence", "unstable predictions", "silent success"})  # fmt: skip
"""The checks that test the attack: where one fails, accuracies may be too high, and none is too low."""


@dataclass(frozen=True)
class Verdict:
    """A verdict.

    Attributes:
        word: The verdict.
        reason: The reason in words.
    """

    word: Word
    reason: str


def decide(run: Run, defence: str, checks: Sequence[Check]) -> Verdict:
    """Returns the verdict on a run and its checklist.

    Failed tests of the attack take nothing from `no gain` and `worse than no defence`: a better attack could only lower
    what the defence keeps. A gain they leave open.
    """
    flags = [check.name for check in checks if check.flag]
    of_attacks = [name for name in flags if name in _OF_ATTACKS]
    if defence == UNDEFENDED:
        if flags:
            return Verdict("cannot tell", f"the accuracies may be too high: see {', '.join(flags)}")
        return Verdict("sound", "no flag is up")
    shares = _shares(run, defence)
    gain = paired(shares.worst, shares.undefended)
    if gain is None:
        return Verdict("cannot tell", "a worst case was not measured")
    word = _word(gain, shares.claim)
    words = f"in the worst case {in_points(gain)} beside no defence"
    if word == "cannot tell":
        takes = f"it would take {_needed(gain)} to tell {SEEN:g} points from none"
        return Verdict(word, f"{words}, on {gain.n} images: {takes}")
    if word == "sound" and of_attacks:
        return Verdict("cannot tell", f"{words}, which a better attack may take away: see {', '.join(of_attacks)}")
    if word == "sound" and flags:
        return Verdict("gain not confirmed", f"{words}, which is not to be relied on: see {', '.join(flags)}")
    return Verdict(word, words)


def settled(run: Run, defence: str) -> Word | None:
    """Returns the verdict that no further attack can change, or None.

    Whatever else is tried, the accuracies of the defended and the undefended network lie between those that are known
    and none at all; where all four ends lead to one verdict, which is not that it gains something, it stands. Too few
    images are no reason to stop, as long as there is something left to find on them.
    """
    if defence == UNDEFENDED:
        return None
    shares, words = _shares(run, defence), set()
    for worst in (shares.worst, _nothing(shares.worst)):
        for undefended in (shares.undefended, _nothing(shares.undefended)):
            gain = paired(worst, undefended)
            words.add("sound" if gain is None else _word(gain, shares.claim))
    left = any(bool(each.nansum()) for each in shares.worst.values())
    if len(words) > 1 or "sound" in words or ("cannot tell" in words and left):
        return None
    return words.pop()


@dataclass(frozen=True)
class _Shares:
    """By seed the shares of right draws of each example in two worst cases, and the gain that reports would claim."""

    worst: dict[int, Tensor]
    undefended: dict[int, Tensor]
    claim: Paired | None


def _shares(run: Run, defence: str) -> _Shares:
    def of(name: str) -> list[Cell]:
        return [cell for cell in run.measured if cell.defence == name]

    claimed, beside = (survived(claimed_cells(of(name), run.spec)) for name in (defence, UNDEFENDED))
    undefended = comparable(of(UNDEFENDED), of(defence), cascade=run.spec.cascade)
    return _Shares(survived(of(defence)), survived(undefended), paired(claimed, beside))


def _nothing(shares: Mapping[int, Tensor]) -> dict[int, Tensor]:
    """Returns the shares of a network that keeps none of the examples that were measured."""
    return {seed: torch.zeros_like(each).masked_fill(each.isnan(), torch.nan) for seed, each in shares.items()}


def _word(gain: Paired, claimed: Paired | None) -> Word:
    """Returns the verdict by accuracies alone."""
    low, high = gain.ci95
    if high < 0:
        return "worse than no defence"
    if low > 0:
        return "sound"
    if claimed is not None and claimed.ci95[0] > high:
        return "gain not confirmed"
    return "no gain" if high <= SEEN and (high - low) / 2 <= SEEN else "cannot tell"


def _needed(gain: Paired) -> str:
    """Returns the number of images whose interval would be narrow enough, were they like these.

    It must leave out either what is too much for `no gain`, or zero.
    """
    low, high = gain.ci95
    allowed = max(SEEN - max(gain.points, 0), abs(gain.points))
    count = math.ceil(gain.n * ((high - low) / 2 / allowed) ** 2)
    return f"about {count:,}" if count < _MOST else "very many"
