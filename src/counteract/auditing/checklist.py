"""Checklist of an audit: red flags, in words, from what was measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from counteract._statistics import Z95, paired_difference, wilson
from counteract.attacks import find_attack
from counteract.attacks.base import CLEAN
from counteract.auditing.backward import Backward
from counteract.auditing.indicators import MANY, Indicators
from counteract.auditing.planted import Planted
from counteract.auditing.probes import Probes
from counteract.defences import UNDEFENDED
from counteract.evaluation.cascades import comparable
from counteract.evaluation.cells import Cell
from counteract.evaluation.results import Run
from counteract.evaluation.scores import Paired, compare, paired
from counteract.evaluation.spec import EvaluationSpec
from counteract.evaluation.worst_cases import asked_again, counts_luck, survived

FLAT = 0.02
"""The change of the true class's mean probability up to which a loss counts as flat."""

ZERO = 0.01
"""The share of images whose gradient may be zero by chance."""


COSTLY = 10.0
"""The points of clean accuracy that a defence may cost without a flag, whatever it gains."""

BITE = 5.0
"""The points below the clean accuracy from which on an attack surely does something within its bounds."""

LEAST_FALL = 0.1
"""The share of the accuracy that bounds twice as wide must take away, where the attack does something at all."""

FAILS = 0.9
"""The share of planted examples that an attack must be able to have found."""


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
    bare = [cell for cell in run.measured if cell.defence == UNDEFENDED]
    undefended = comparable(bare, cells, cascade=run.spec.cascade)
    claimed, beside = claimed_cells(cells, run.spec), claimed_cells(undefended, run.spec)
    return [
        _gain_is_confirmed(cells, undefended, _gain(claimed, beside), defence),
        _spread(claimed, _gain(claimed, beside), defence),
        _no_better_than_clean(cells, run.spec),
        _clean_cost(cells, undefended, defence),
        _not_by_luck(cells, undefended, defence),
        _gradients_lead(cells, run.spec),
    ]


def check_transfer(probes: Probes, run: Run, defence: str) -> Check:
    """Checks that an attack that knows of the defence breaks what those break that do not.

    Args:
        probes: The outcomes of the one that knows, by itself.
        run: The run.
        defence: The defence.
    """
    name = "transfer"
    oblivious = claimed_cells([cell for cell in run.measured if cell.defence == defence], run.spec)
    seeds = survived(oblivious)
    if defence == UNDEFENDED:
        return Check(name, False, "no defence, so there is nothing that an attack might not know of")
    if not seeds:
        return Check(name, None, "it takes attacks that know of the defence and such that do not")
    first = seeds[min(seeds)]
    found = paired({0: probes.base}, {0: first})
    if found is None:
        return Check(name, None, "no example was measured with both")
    words = f"{probes.attack}, which knows of it, leaves {in_points(found)} beside those that do not"
    return _check(name, found.ci95[0] > 0, "examples of the undefended network break it better", words)


def check_backward(found: Backward, cure: str = "", *, distilled: bool = False) -> Check:
    """Checks that gradients are those of the answers.

    Args:
        found: The comparison with finite differences.
        cure: A sentence about what was done about it.
        distilled: True where attacks have no gradient but that of a network distilled from the answers.
    """
    name = "backward pass"
    if distilled:
        return Check(
            name, True, "no gradient is known but that of a network distilled from the answers, which is a guess"
        )
    if found.kind == "none":
        return Check(name, None, f"no gradient that could be compared with the answers' own slopes{cure}")
    of = ", of the network alone: its defences pass gradients back by an estimate" if found.declared else ""
    if found.kind == "estimate":
        words = "the gradient is not that of the answers, and leads up in the mean, as the identity in place of a step"
        return Check(name, False, f"{words}: {found.words}{of}{cure}")
    alarm = "the gradients are not those of the answers: a wrong backward pass, or an estimate too rough to follow"
    if found.kind == "masked":
        alarm = (
            "the gradients are those of the answers and lead nowhere over steps of an attack's size: they are masked"
        )
    return _check(name, found.misleads, alarm, f"{found.words}{of}{cure}")


def check_planted(found: Planted | None) -> Check:
    """Checks that the attack finds examples that certainly exist."""
    name = "planted example"
    if found is None or not found.planted:
        return Check(name, None, "no example could be planted")
    words = f"of {found.planted} examples that certainly exist the attack finds {found.found}"
    surely = wilson(found.found, found.planted)[1] < FAILS
    return _check(name, surely, "the attack misses examples that certainly exist", words)


def check_indicators(found: Indicators, worst: Tensor, cured: Paired | None) -> list[Check]:
    """Checks two indicators of attack failure, after their cures.

    Args:
        found: The indicators of the first images.
        worst: The share of the draws that are right in the worst case over everything that was tried: shape (N,).
        cured: The change of the worst case by gradients averaged over a neighbourhood; None where that was not tried.
    """
    n, unstable = len(found.unstable), int(found.unstable.sum())
    lost = found.silent & (worst[:n] > 0)
    words = f"on {unstable} of {n} images the margin jumps between close neighbours"
    if cured is not None:
        words += f"; gradients averaged over a neighbourhood (around) change the worst case by {in_points(cured)}"
    helped = cured is not None and cured.ci95[1] < 0
    return [
        _check("unstable predictions", helped, "gradients say little where answers jump", words),
        _check(
            "silent success",
            wilson(float(lost.sum()), n)[0] > MANY,
            "attacks pass examples and hand back points that are none",
            f"on {int(found.silent.sum())} of {n} images an attack on the cross-entropy passes an example and keeps a "
            f"point that is none; {int(lost.sum())} of them no other attack breaks either",
        ),
    ]


def check_probes(
    probes: Probes, classes: int, clean: float | None = None, cured: Paired | None = None, hint: str = ""
) -> list[Check]:
    """Checks one attack with more steps and wider bounds.

    Args:
        probes: The attack's outcomes.
        classes: The number of classes.
        clean: The accuracy on clean images, in percent, if it was measured.
        cured: The change of the worst case by an attack with four times the steps; None where that was not tried.
        hint: What was done about gradients that vanish.
    """
    n = len(probes.base)
    low = 100 * wilson(float(probes.widest.sum()), n)[0]
    accuracy, chance, grey = 100 * float(probes.widest.mean()), 100 / classes, 100 * probes.grey
    named = f"plain grey leaves {grey:.1f}%" if grey > chance else f"chance is {chance:.1f}%"
    return [
        _stronger("more steps", f"twice as many steps of {probes.attack}", probes.base, probes.longer),
        _monotone(probes, clean),
        _check(
            "large eps",
            low > max(chance, grey),
            "even where every image may become plain grey the attack does not reach chance",
            f"with a bound that lets it {probes.attack} leaves {accuracy:.1f}%, where {named}",
        ),
        _flat(probes, cured),
        _check(
            "zero gradients",
            probes.flat > ZERO * n,
            "gradients through the defence vanish",
            f"{probes.flat} of {n} images have no gradient but zeros{hint}",
        ),
    ]


def no_probes(reason: str) -> list[Check]:
    """Returns the checks of an attack that could not be made: nobody has gradients to follow, which is a red flag."""
    unseen = [Check(name, None, reason) for name in ("more steps", "larger eps", "large eps", "convergence")]
    alarm = "no attack with gradients through the defence could run, so none of the accuracies shows what one finds"
    return [*unseen, _check("zero gradients", True, alarm, reason)]


def _gain_is_confirmed(
    cells: Sequence[Cell], undefended: Sequence[Cell], claimed: Paired | None, defence: str
) -> Check:
    """Checks that a gain against attacks that do not know of the defence is there in its own worst case.

    The claim is that beside the undefended network under the same attacks: any defence gains something beside a worst
    case that more was tried for.
    """
    name = "gain"
    if defence == UNDEFENDED:
        return Check(name, False, "no defence, so no gain is claimed")
    actual = _gain(cells, undefended)
    if claimed is None or actual is None:
        return Check(name, None, "a worst case was not measured")
    words = (
        f"beside the undefended network {in_points(claimed)} against the same oblivious attacks, {in_points(actual)} "
        "in the worst case"
    )
    if actual.ci95[1] < 0:
        return Check(name, True, f"worse than no defence: {words}")
    unconfirmed = actual.ci95[0] <= 0 and claimed.ci95[0] > actual.ci95[1]
    return _check(name, unconfirmed, "a gain that is not confirmed", words)


def _clean_cost(cells: Sequence[Cell], undefended: Sequence[Cell], defence: str) -> Check:
    """Checks that a defence does not cost more on clean images than it gains in the worst case."""
    name = "clean cost"
    if defence == UNDEFENDED:
        return Check(name, False, "no defence, so no cost")
    found = [next((cell for cell in group if cell.attack == CLEAN), None) for group in (cells, undefended)]
    change = compare(found[0], found[1]) if found[0] and found[1] else None
    gain = _gain(cells, undefended)
    if change is None or gain is None:
        return Check(name, None, "the clean images were not measured")
    words = f"clean images change by {in_points(change)}, the worst case by {in_points(gain)}"
    costly = -change.points >= COSTLY and -change.ci95[1] > max(gain.ci95[1], 0)
    return _check(name, costly, "it costs more on clean images than it can gain", words)


def _not_by_luck(cells: Sequence[Cell], undefended: Sequence[Cell], defence: str) -> Check:
    """Checks that no more than half of a gain is luck, and gone where an attacker may ask again, for other draws.

    Source: the worst robustness over N evaluations of Wang et al. (DiffHammer, NeurIPS 2024).
    """
    name = "other draws"
    draws = max((len(each) for cell in cells for each in cell.drawn.values()), default=0)
    if defence == UNDEFENDED or not (draws or any(map(counts_luck, cells))):
        return Check(name, False, "no draws that a gain might hang on")
    gain, again = _gain(cells, undefended), paired(asked_again(cells), survived(undefended))
    if draws < 2 or gain is None or again is None:
        return Check(name, None, "it takes several draws to tell")
    words = f"it gains {in_points(gain)} against a single try, and {in_points(again)} where an attacker has {draws}"
    lucky = gain.ci95[0] > 0 >= again.ci95[0] and again.points <= gain.points / 2
    return _check(name, lucky, "the gain is one of luck, and gone once an attacker may try again", words)


def _spread(oblivious: Sequence[Cell], claimed: Paired | None, defence: str) -> Check:
    """Checks that the seeds alone do less than a gain that would be claimed; one that chance may have made is none."""
    name = "spread over seeds"
    if defence == UNDEFENDED:
        return Check(name, False, "no defence, so no gain is claimed")
    seeds = survived(oblivious)
    if claimed is None or len(seeds) < 2:
        return Check(name, None, "it takes two seeds to tell")
    spread = statistics.stdev(100 * float(shares.nanmean()) for shares in seeds.values())
    words = f"the claimed gain is {claimed.points:+.1f} points, the standard deviation over seeds {spread:.1f}"
    return _check(name, claimed.ci95[0] > 0 and claimed.points <= spread, "seeds alone make as much", words)


def _no_better_than_clean(cells: Sequence[Cell], spec: EvaluationSpec) -> Check:
    """Checks that no attack is worse than doing nothing."""
    name = "clean images"
    clean = next((cell for cell in cells if cell.attack == CLEAN), None)
    if clean is None:
        return Check(name, None, "the clean images were not measured")
    found = {cell.attack: compare(cell, clean) for cell in cells if _by_itself(cell, spec)}
    helping = [f"{attack} ({each.points:+.1f})" for attack, each in found.items() if each and each.ci95[0] > 0]
    words = f"under attack it is more accurate than on clean images by: {', '.join(helping) or 'nothing'}"
    return _check(name, bool(helping), "doing nothing is a better attack than some", words)


def _gradients_lead(cells: Sequence[Cell], spec: EvaluationSpec) -> Check:
    """Checks that whoever asks, and has no gradients, finds nothing that those miss who have them.

    In a cascade those are the ones before: what comes after counts what was found without gradients as its own.
    """
    name = "black box"
    first = next((place for place, cell in enumerate(cells) if _asks(cell.attack)), None)
    before = cells[:first] if spec.cascade else cells
    white = [cell for cell in before if find_attack(cell.attack).gradients or cell.attack == CLEAN]
    black = [cell for cell in cells if _asks(cell.attack)]
    found = paired(survived(white), survived([*white, *black])) if black and any(map(_follows, white)) else None
    if found is None:
        return Check(name, None, "it takes an attack with gradients and one without")
    words = f"attacks that ask and have no gradients take another {found.points:.1f} points ({_range(found)})"
    return _check(name, found.ci95[0] > 0, "attacks without gradients find what those miss that have them", words)


def _monotone(probes: Probes, clean: float | None) -> Check:
    """Checks that wider bounds help an attack that does something: no fall is a flag, where one would show.

    The interval must exclude that a tenth of the accuracy is lost.
    """
    check = _stronger("larger eps", f"bounds twice as wide of {probes.attack}", probes.base, probes.wider)
    base = 100 * float(probes.base.mean())
    _, (low, high) = paired_difference([probes.wider], [probes.base])
    still = base > 0 and high >= 0 and low > -LEAST_FALL * base and (clean is None or base < clean - BITE)
    if check.flag or not still:
        return check
    return Check(check.name, True, f"wider bounds take nothing from the defence, where they should: {check.words}")


def _stronger(name: str, what: str, base: Tensor, other: Tensor) -> Check:
    """Checks that a change that makes an attack stronger does not help the defence."""
    points, (low, high) = paired_difference([other], [base])
    words = f"{what} change the accuracy by {points:+.1f} points ({low:+.1f} to {high:+.1f})"
    return _check(name, low > 0, "what makes the attack stronger helps the defence", words)


def _flat(probes: Probes, cured: Paired | None) -> Check:
    """Checks that more steps gain nothing: an attack that still gains has not shown what it can do.

    Where four times the steps were tried and the worst case stands, it is the end of it all the same.
    """
    fall = probes.fall
    mean, half = float(fall.mean()), Z95 * float(fall.std()) / math.sqrt(len(fall)) if len(fall) > 1 else 0.0
    words = f"twice as many steps of {probes.attack} lower the true class's mean probability by {mean:.3f} ± {half:.3f}"
    rising = mean > FLAT and mean - half > 0
    if rising and cured is not None:
        words += f"; four times as many (long) change the worst case by {in_points(cured)}"
        rising = cured.ci95[1] < 0
    return _check("convergence", rising, "the attack has not converged", words)


def _check(name: str, flag: bool, alarm: str, words: str) -> Check:
    """Returns an item that was looked at; the alarm is said only where the flag is up."""
    return Check(name, flag, f"{alarm}: {words}" if flag else words)


def claimed_cells(cells: Iterable[Cell], spec: EvaluationSpec) -> list[Cell]:
    """Returns the cells that a report of oblivious attacks would go by."""
    oblivious = (cell for cell in cells if cell.attack != CLEAN and not find_attack(cell.attack).adaptive)
    return [cell for cell in oblivious if _by_itself(cell, spec)]


def _by_itself(cell: Cell, spec: EvaluationSpec) -> bool:
    """Returns True where a cell's accuracy is that under its attack alone, and not under all up to it."""
    return not spec.cascade or cell.attack in spec.alone


def _gain(cells: Sequence[Cell], undefended: Sequence[Cell]) -> Paired | None:
    """Returns the difference of the worst case over some cells and the undefended network's."""
    return paired(survived(cells), survived(undefended))


def _follows(cell: Cell) -> bool:
    """Returns True for an attack that follows gradients of a defence, or of a network without one."""
    return cell.attack != CLEAN and (find_attack(cell.attack).adaptive or cell.defence == UNDEFENDED)


def _asks(attack: str) -> bool:
    """Returns True for an attack that asks the defended network, and follows no gradients."""
    found = find_attack(attack)
    return found.adaptive and not found.gradients


def in_points(gain: Paired) -> str:
    """Returns a difference in words."""
    return f"{gain.points:+.1f} points ({_range(gain)})"


def _range(gain: Paired) -> str:
    low, high = gain.ci95
    return f"{low:+.1f} to {high:+.1f}"
