"""The checklist of an audit: red flags, in words, from what was measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from counteract.evaluation.attacks import NONE as CLEAN
from counteract.evaluation.attacks import parse_attack
from counteract.evaluation.defences import NONE as UNDEFENDED
from counteract.evaluation.probes import Outcome, Probes
from counteract.evaluation.record import Run
from counteract.evaluation.scores import Z95, Cell, compare, paired_difference, survived, wilson

FLAT = 0.02
"""By how much the mean probability of the true class may still move where a loss counts as flat."""

ZERO = 0.01
"""Of how many images, as a share, the gradient may be zero by chance."""


@dataclass(frozen=True)
class Check:
    """One item of the checklist.

    Attributes:
        name: What is looked at, in a word or two.
        flag: Whether a red flag is up; None if it was not looked at.
        words: What was found.
    """

    name: str
    flag: bool | None
    words: str


def check_run(run: Run, defence: str) -> list[Check]:
    """What the accuracies of one network with one defence, and without, say."""
    cells = [cell for cell in run.measured if cell.defence == defence]
    static = [cell for cell in run.measured if cell.defence == UNDEFENDED]
    return [
        _gain_is_confirmed(cells, static, defence),
        _spread(cells, static, defence),
        _no_better_than_clean(cells),
        _gradients_lead(cells),
    ]


def check_probes(probes: Probes, classes: int) -> list[Check]:
    """What one attack with more steps and wider bounds says."""
    n = len(probes.base.correct)
    low = 100 * wilson(float(probes.widest.correct.sum()), n)[0]
    accuracy, chance = 100 * float(probes.widest.correct.mean()), 100 / classes
    return [
        _stronger("more steps", f"twice as many steps of {probes.attack}", probes.base, probes.longer),
        _stronger("larger eps", f"bounds twice as wide of {probes.attack}", probes.base, probes.wider),
        _check(
            "large eps",
            low > chance,
            "even where every image may become plain grey the attack does not reach chance",
            f"with an eps of one half {probes.attack} leaves {accuracy:.1f}%, where chance is {chance:.1f}%",
        ),
        _flat(probes),
        _check(
            "zero gradients",
            probes.zero > ZERO * n,
            "gradients through the defence vanish",
            f"{probes.zero} of {n} images have a gradient of zero",
        ),
    ]


def _gain_is_confirmed(cells: Sequence[Cell], static: Sequence[Cell], defence: str) -> Check:
    """A gain against attacks that do not know of the defence must be there in its own worst case."""
    name = "gain"
    if defence == UNDEFENDED:
        return Check(name, False, "no defence, so no gain is claimed")
    claimed, actual = _gain(_claimed(cells), static), _gain(cells, static)
    if claimed is None or actual is None:
        return Check(name, None, "a worst case was not measured")
    words = (
        f"beside the undefended network's worst case {_points(claimed)} against oblivious attacks, {_points(actual)} "
        "in the defence's own worst case"
    )
    return _check(name, claimed[1][0] > 0 >= actual[1][0], "a gain that is not confirmed", words)


def _spread(cells: Sequence[Cell], static: Sequence[Cell], defence: str) -> Check:
    """What the seeds alone do must be less than the gain."""
    name = "spread over seeds"
    if defence == UNDEFENDED:
        return Check(name, False, "no defence, so no gain is claimed")
    claimed, seeds = _gain(_claimed(cells), static), survived(_claimed(cells))
    if claimed is None or len(seeds) < 2:
        return Check(name, None, "it takes two seeds to tell")
    spread = statistics.stdev(100 * float(correct.mean()) for correct in seeds.values())
    words = f"the claimed gain is {claimed[0]:+.1f} points, the standard deviation over seeds {spread:.1f}"
    return _check(name, 0 < claimed[0] <= spread, "seeds alone make as much", words)


def _no_better_than_clean(cells: Sequence[Cell]) -> Check:
    """No attack may be worse than doing nothing."""
    name = "clean images"
    clean = next((cell for cell in cells if cell.attack == CLEAN), None)
    if clean is None:
        return Check(name, None, "the clean images were not measured")
    helping = []
    for cell in cells:
        found = compare(cell, clean)
        if found.ci95[0] > 0:
            helping.append(f"{cell.attack} ({found.points:+.1f})")
    words = f"under attack it is more accurate than on clean images by: {', '.join(helping) or 'nothing'}"
    return _check(name, bool(helping), "doing nothing is a better attack than some", words)


def _gradients_lead(cells: Sequence[Cell]) -> Check:
    """Whoever has gradients through the defence must do better than whoever has not."""
    name = "black box"
    white = _strongest(cell for cell in cells if _sees_gradients(cell.attack))
    black = _strongest(cell for cell in cells if not _sees_gradients(cell.attack) and cell.attack != CLEAN)
    if white is None or black is None:
        return Check(name, None, "it takes an attack with gradients and one without")
    found = compare(white, black)
    words = (
        f"under {white.attack}, with gradients through the defence, it is {_points((found.points, found.ci95))} "
        f"more accurate than under {black.attack}, without"
    )
    return _check(name, found.ci95[0] > 0, "an attack without gradients beats those that have them", words)


def _stronger(name: str, what: str, base: Outcome, other: Outcome) -> Check:
    """What makes an attack stronger must not help the defence."""
    points, (low, high) = paired_difference([other.correct], [base.correct])
    words = f"{what} change the accuracy by {points:+.1f} points ({low:+.1f} to {high:+.1f})"
    return _check(name, low > 0, "what makes the attack stronger helps the defence", words)


def _flat(probes: Probes) -> Check:
    """An attack that still gains with more steps has not shown what it can do."""
    rise = probes.base.probability - probes.longer.probability
    mean, half = float(rise.mean()), Z95 * float(rise.std()) / math.sqrt(len(rise)) if len(rise) > 1 else 0.0
    words = f"twice as many steps of {probes.attack} lower the true class's mean probability by {mean:.3f} ± {half:.3f}"
    return _check("convergence", mean > FLAT and mean - half > 0, "the attack has not converged", words)


def _check(name: str, flag: bool, alarm: str, words: str) -> Check:
    """An item that was looked at; the alarm is said only where the flag is up."""
    return Check(name, flag, f"{alarm}: {words}" if flag else words)


def _claimed(cells: Iterable[Cell]) -> list[Cell]:
    """The cells that a report of oblivious attacks would go by."""
    return [cell for cell in cells if cell.attack != CLEAN and not parse_attack(cell.attack).adaptive]


def _gain(cells: Sequence[Cell], static: Sequence[Cell]) -> tuple[float, tuple[float, float]] | None:
    """The worst case over some cells against the undefended network's."""
    mine, theirs = survived(cells), survived(static)
    seeds = sorted(mine.keys() & theirs.keys())
    return paired_difference([mine[s] for s in seeds], [theirs[s] for s in seeds]) if seeds else None


def _strongest(cells: Iterable[Cell]) -> Cell | None:
    return min(cells, key=lambda cell: float(torch.stack([*cell.correct.values()]).double().mean()), default=None)


def _sees_gradients(attack: str) -> bool:
    recipe = parse_attack(attack).recipe
    return recipe is not None and recipe.adaptive and recipe.gradients


def _points(gain: tuple[float, tuple[float, float]]) -> str:
    points, (low, high) = gain
    return f"{points:+.1f} points ({low:+.1f} to {high:+.1f})"
