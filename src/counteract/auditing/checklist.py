"""Checklist of an audit: red flags, in words, from what was measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from counteract._statistics import Z95, paired_difference, wilson
from counteract.attacks import find_attack
from counteract.auditing.probes import Probes
from counteract.defences import UNDEFENDED
from counteract.evaluation.results import Run
from counteract.evaluation.scores import CLEAN, Cell, Paired, compare, paired, survived

FLAT = 0.02
"""The change of the true class's mean probability up to which a loss counts as flat."""

ZERO = 0.01
"""The share of images whose gradient may be zero by chance."""


@dataclass(frozen=True)
class Check:
    """One item of the checklist.

    Attributes:
        name: Its subject, in a word or two.
        flag: True for a red flag, False for none; None if it was not looked at.
        words: The finding.
    """

    name: str
    flag: bool | None
    words: str


def check_run(run: Run, defence: str) -> list[Check]:
    """Checks the accuracies of one network with one defence, and without."""
    cells = [cell for cell in run.measured if cell.defence == defence]
    undefended = [cell for cell in run.measured if cell.defence == UNDEFENDED]
    return [
        _gain_is_confirmed(cells, undefended, defence),
        _spread(cells, undefended, defence),
        _no_better_than_clean(cells),
        _gradients_lead(cells),
    ]


def check_probes(probes: Probes, classes: int) -> list[Check]:
    """Checks one attack with more steps and wider bounds."""
    n = len(probes.base)
    low = 100 * wilson(float(probes.widest.sum()), n)[0]
    accuracy, chance = 100 * float(probes.widest.mean()), 100 / classes
    return [
        _stronger("more steps", f"twice as many steps of {probes.attack}", probes.base, probes.longer),
        _stronger("larger eps", f"bounds twice as wide of {probes.attack}", probes.base, probes.wider),
        _check(
            "large eps",
            low > chance,
            "even where every image may become plain grey the attack does not reach chance",
            f"with a bound that lets it {probes.attack} leaves {accuracy:.1f}%, where chance is {chance:.1f}%",
        ),
        _flat(probes),
        _check(
            "zero gradients",
            probes.flat > ZERO * n,
            "gradients through the defence vanish",
            f"{probes.flat} of {n} images have no gradient but zeros",
        ),
    ]


def no_probes(reason: str) -> list[Check]:
    """Returns the checks of an attack that could not be made: nobody has gradients to follow, which is a red flag."""
    unseen = [Check(name, None, reason) for name in ("more steps", "larger eps", "large eps", "convergence")]
    alarm = "no attack with gradients through the defence could run, so none of the accuracies shows what one finds"
    return [*unseen, _check("zero gradients", True, alarm, reason)]


def _gain_is_confirmed(cells: Sequence[Cell], undefended: Sequence[Cell], defence: str) -> Check:
    """Checks that a gain against attacks that do not know of the defence is there in its own worst case."""
    name = "gain"
    if defence == UNDEFENDED:
        return Check(name, False, "no defence, so no gain is claimed")
    claimed, actual = _gain(_claimed(cells), undefended), _gain(cells, undefended)
    if claimed is None or actual is None:
        return Check(name, None, "a worst case was not measured")
    words = (
        f"beside the undefended network's worst case {_points(claimed)} against oblivious attacks, {_points(actual)} "
        "in the defence's own worst case"
    )
    return _check(name, claimed.ci95[0] > 0 >= actual.ci95[0], "a gain that is not confirmed", words)


def _spread(cells: Sequence[Cell], undefended: Sequence[Cell], defence: str) -> Check:
    """Checks that the seeds alone do less than the gain."""
    name = "spread over seeds"
    if defence == UNDEFENDED:
        return Check(name, False, "no defence, so no gain is claimed")
    claimed, seeds = _gain(_claimed(cells), undefended), survived(_claimed(cells))
    if claimed is None or len(seeds) < 2:
        return Check(name, None, "it takes two seeds to tell")
    spread = statistics.stdev(100 * float(shares.nanmean()) for shares in seeds.values())
    words = f"the claimed gain is {claimed.points:+.1f} points, the standard deviation over seeds {spread:.1f}"
    return _check(name, 0 < claimed.points <= spread, "seeds alone make as much", words)


def _no_better_than_clean(cells: Sequence[Cell]) -> Check:
    """Checks that no attack is worse than doing nothing."""
    name = "clean images"
    clean = next((cell for cell in cells if cell.attack == CLEAN), None)
    if clean is None:
        return Check(name, None, "the clean images were not measured")
    found = {cell.attack: compare(cell, clean) for cell in cells}
    helping = [f"{attack} ({each.points:+.1f})" for attack, each in found.items() if each and each.ci95[0] > 0]
    words = f"under attack it is more accurate than on clean images by: {', '.join(helping) or 'nothing'}"
    return _check(name, bool(helping), "doing nothing is a better attack than some", words)


def _gradients_lead(cells: Sequence[Cell]) -> Check:
    """Checks that whoever has gradients through the defence does better than whoever has not."""
    name = "black box"
    white = _strongest(cell for cell in cells if _sees_gradients(cell.attack))
    black = _strongest(cell for cell in cells if not _sees_gradients(cell.attack) and cell.attack != CLEAN)
    found = compare(white, black) if white and black else None
    if white is None or black is None or found is None:
        return Check(name, None, "it takes an attack with gradients and one without")
    words = (
        f"under {white.attack}, with gradients through the defence, it is {_points(found)} more accurate than under "
        f"{black.attack}, without"
    )
    return _check(name, found.ci95[0] > 0, "an attack without gradients beats those that have them", words)


def _stronger(name: str, what: str, base: Tensor, other: Tensor) -> Check:
    """Checks that a change that makes an attack stronger does not help the defence."""
    points, (low, high) = paired_difference([other], [base])
    words = f"{what} change the accuracy by {points:+.1f} points ({low:+.1f} to {high:+.1f})"
    return _check(name, low > 0, "what makes the attack stronger helps the defence", words)


def _flat(probes: Probes) -> Check:
    """Checks that more steps gain nothing: an attack that still gains has not shown what it can do."""
    fall = probes.fall
    mean, half = float(fall.mean()), Z95 * float(fall.std()) / math.sqrt(len(fall)) if len(fall) > 1 else 0.0
    words = f"twice as many steps of {probes.attack} lower the true class's mean probability by {mean:.3f} ± {half:.3f}"
    return _check("convergence", mean > FLAT and mean - half > 0, "the attack has not converged", words)


def _check(name: str, flag: bool, alarm: str, words: str) -> Check:
    """Returns an item that was looked at; the alarm is said only where the flag is up."""
    return Check(name, flag, f"{alarm}: {words}" if flag else words)


def _claimed(cells: Iterable[Cell]) -> list[Cell]:
    """Returns the cells that a report of oblivious attacks would go by."""
    return [cell for cell in cells if cell.attack != CLEAN and not find_attack(cell.attack).adaptive]


def _gain(cells: Sequence[Cell], undefended: Sequence[Cell]) -> Paired | None:
    """Returns the difference of the worst case over some cells and the undefended network's."""
    return paired(survived(cells), survived(undefended))


def _strongest(cells: Iterable[Cell]) -> Cell | None:
    return min(cells, key=lambda cell: float(torch.stack([*cell.measured.values()]).nanmean()), default=None)


def _sees_gradients(attack: str) -> bool:
    found = find_attack(attack)
    return found.adaptive and found.gradients


def _points(gain: Paired) -> str:
    low, high = gain.ci95
    return f"{gain.points:+.1f} points ({low:+.1f} to {high:+.1f})"
