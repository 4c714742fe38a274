"""Remarks on one run alone: odd networks, attacks that could not run, luck in its worst cases, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence

from counteract.attacks.base import CLEAN
from counteract.attacks.registry import recorded_attack
from counteract.defences import UNDEFENDED
from counteract.evaluation.results import Run
from counteract.evaluation.worst_cases import counts_luck
from counteract.models.loading import is_named

_NEAR = 0.2
"""Up to this share of the way from chance to perfection an accuracy is little better than guessing."""


def remarks(run: Run) -> list[str]:
    """Returns the facts about this run alone: odd networks, attacks that could not run, what is missing, and why."""
    return [
        *_about_networks(run),
        *_about_chance(run),
        *_about_parameters(run),
        *_about_obstacles(run),
        *_about_attacks(run),
        *_about_unusable(run),
        *_one_label_at_a_time(run),
        *run.missing,
        *_about_luck(run),
    ]


def _about_networks(run: Run) -> list[str]:
    found = []
    for label, note in run.networks.items():
        said = note.notes or (("its answers are random; its draws follow the block",) if note.random else ())
        found += [f"{label}: {text}" for text in said]
    return found


def _about_chance(run: Run) -> list[str]:
    """Returns a line for each network whose clean accuracy guessing may reach: with what may be wrong with it."""
    found = []
    chance = 100 / max(1, len(run.class_names))
    for model, name in run.spec.models.items():
        clean = [row for row in run.rows if row.model == model and row.attack == CLEAN]
        best = max(clean, key=lambda row: (row.defence == UNDEFENDED, row.accuracy), default=None)
        if best is None or best.accuracy > chance + _NEAR * (100 - chance):
            continue
        standardised = is_named(name) or run.spec.own_network.mean is not None
        advice = (
            "compare the images and the order of classes with those that it was trained on"
            if standardised
            else "if it was trained on standardised images, give their mean and deviation (--mean and --std, or "
            "counteract.models.Normalize in front of it); else compare the order of its classes"
        )
        found.append(
            f"{model}: {best.accuracy:.1f}% of the clean images are right with {best.defence}, little more than by "
            f"guessing ({chance:.1f}%): {advice}"
        )
    return found


def _about_parameters(run: Run) -> list[str]:
    """Returns the reading of the paper, and for each network the defences that differ from attack to attack."""
    found = [f"reading of the paper's settings: {run.spec.reading}"] if run.spec.reading else []
    if len({recorded_attack(name).targeted for name in run.spec.attacks}) < 2:
        return found
    for model in run.spec.models:
        names = [variant.name for variant in run.spec.variants()]
        differing = [name for name in names if len(run.parameters(model, name)) > 1]
        if differing:
            found.append(
                f"{model}: the parameters of {', '.join(differing)} under targeted attacks are not those under the "
                "others, so that a worst case over both is one over two different defences"
            )
    return found


def _one_label_at_a_time(run: Run) -> list[str]:
    """Returns a line for each network with illustrations: the share of pairs that the paper's Figure 1 is about."""
    found = []
    for model, shown in run.illustrations.items():
        images, labels = shown.gained.shape
        if images:
            gained, suppressed = (
                f"{100 * float(each.double().mean()):.1f}%" for each in (shown.gained, shown.suppressed)
            )
            found.append(
                f"{model}, one label at a time (Figure 1): counteraction's perturbation for the label alone raises the "
                f"true class's probability in {gained}, and lowers that of the class that the image is taken for in "
                f"{suppressed}, of {images * labels} pairs of an adversarial image and a label (n = {images} images)"
            )
    return found


def _about_obstacles(run: Run) -> list[str]:
    """Returns a line for each network and reason, with the attacks; the defences are named unless it is all of them."""
    groups: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for model in run.spec.models:
        for attack in run.spec.attacks:
            reasons: dict[str, list[str]] = {}
            for variant in run.spec.variants():
                if why := run.obstacles.get((model, attack, variant.name)):
                    reasons.setdefault(why, []).append(variant.name)
            for why, defences in reasons.items():
                groups.setdefault((model, why, tuple(defences)), []).append(attack)
    every = len(run.spec.variants())
    return [
        f"{', '.join(attacks)} did not run on {model}"
        f"{'' if len(defences) == every else ' with ' + ', '.join(defences)}: {why}"
        for (model, why, defences), attacks in groups.items()
    ]


def _about_attacks(run: Run) -> list[str]:
    """Returns what must be said of attacks of others: their draws, results that were projected, their own warnings."""
    foreign = [name for name in run.spec.attacks if recorded_attack(name).unkeyed]
    found = [f"{', '.join(foreign)}: attacks of others, whose draws follow the block"] if foreign else []
    projected: dict[tuple[str, str, int, int], list[str]] = {}
    said: dict[tuple[str, str], list[str]] = {}
    for cell in run.measured:
        if cell.projected:
            where = cell.model, cell.attack, cell.projected, cell.tried
            projected.setdefault(where, []).append(cell.defence)
        for text in cell.said:
            said.setdefault((cell.model, text), []).append(cell.defence)
    found += [
        f"{attack} on {model}: {count} of {n} results{_with(run, attack, defences)} lay outside of the threat model, "
        "and were projected onto it"
        for (model, attack, count, n), defences in projected.items()
    ]
    return found + [f"{model} with {', '.join(defences)}: {text}" for (model, text), defences in said.items()]


def _with(run: Run, attack: str, defences: Sequence[str]) -> str:
    """Returns the defences that an attack was made through, unless it knew of none or it is all of them."""
    every = len(defences) == len(run.spec.variants()) or not recorded_attack(attack).adaptive
    return "" if every else f" with {', '.join(defences)}"


def _about_luck(run: Run) -> list[str]:
    """Returns what must be said of worst cases that bad luck is a part of."""
    if len(run.spec.attacks) == 1 or not any(map(counts_luck, run.measured)):
        return []
    said = "a worst case of a defence that draws is a lower bound: the least under any attack, bad luck included"
    return [said + "; more draws tell luck from attacks (--draws 5)" * (run.spec.draws == 1)]


def _about_unusable(run: Run) -> list[str]:
    counts: dict[tuple[str, str], int] = {}
    for row in run.rows:
        counts[row.model, row.defence] = counts.get((row.model, row.defence), 0) + row.unusable
    return [
        f"{model}: {count} answers with {defence} named no class (not finite, or the same for all), and count as wrong"
        for (model, defence), count in counts.items()
        if count
    ]
