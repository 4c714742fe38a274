"""Whether claims hold, in the paper's own figures and as measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from counteract.evaluation.attacks import NONE, parse_attack
from counteract.evaluation.record import Run
from counteract.evaluation.scores import Cell, compare
from counteract.reporting.claims import Claim, claims_about
from counteract.reporting.paper import Published, Selector, all_published, family, reproduces

Outcome = Literal["holds", "does not hold", "not settled", "not measured", "not published"]


@dataclass(frozen=True)
class Gap:
    """The difference of a pair of accuracies, with its paired 95% interval; published ones have none."""

    better: Selector
    worse: Selector
    accuracies: tuple[float, float]
    points: float
    ci95: tuple[float, float] | None = None

    @property
    def low(self) -> float:
        """The least that the difference may be."""
        return self.points if self.ci95 is None else self.ci95[0]

    @property
    def high(self) -> float:
        """The most that the difference may be."""
        return self.points if self.ci95 is None else self.ci95[1]


@dataclass(frozen=True)
class Verdict:
    """Whether a claim holds, and why."""

    outcome: Outcome
    evidence: str = ""


@dataclass(frozen=True)
class Assessment:
    """A claim with what the paper's own figures and the run say of it."""

    claim: Claim
    paper: Verdict
    measured: Verdict


def assess(run: Run) -> list[Assessment]:
    """The claims about the table or figure that a run is about, and the check of ours on any run.

    None are judged by a cascade: each of its accuracies is that of several attacks.
    """
    if run.spec.cascade:
        return []
    numbers = all_published(run)
    cells = {Selector(cell.model, cell.defence, cell.attack): cell for cell in run.measured}
    found = [
        Assessment(claim, judge_published(claim, numbers), judge_measured(claim, cells))
        for claim in claims_about(reproduces(run), tuple(run.spec.models))
    ]
    theirs = doing_nothing(numbers, lambda key: not _switches(family(run), key))
    ours = doing_nothing(cells, lambda key: _same_parameters(run, key))
    return [*found, Assessment(ours, judge_published(theirs, numbers), judge_measured(ours, cells))]


def judge_published(claim: Claim, numbers: Mapping[Selector, Published]) -> Verdict:
    """Whether a claim holds in the paper's own figures."""
    gaps = []
    for better, worse in claim.pairs:
        if better in numbers and worse in numbers:
            pair = numbers[better].accuracy, numbers[worse].accuracy
            gaps.append(Gap(better, worse, pair, round(pair[0] - pair[1], 1)))  # they are printed with one decimal
    return _judge(claim, gaps, "not published")


def judge_measured(claim: Claim, cells: Mapping[Selector, Cell]) -> Verdict:
    """Whether a claim holds as measured; the seeds that both of a pair have count."""
    gaps = []
    for better, worse in claim.pairs:
        first, second = cells.get(better), cells.get(worse)
        if first and second and (seeds := first.correct.keys() & second.correct.keys()):
            found = compare(first, second)
            pair = _mean(first, seeds), _mean(second, seeds)
            gaps.append(Gap(better, worse, pair, found.points, found.ci95))
    return _judge(claim, gaps, "not measured")


def _mean(cell: Cell, seeds: Iterable[int]) -> float:
    accuracies = [100 * float(cell.correct[seed].double().mean()) for seed in seeds]
    return sum(accuracies) / len(accuracies)


def _judge(claim: Claim, gaps: Sequence[Gap], absent: Outcome) -> Verdict:
    """Counts the pairs that are so, and are not so, beyond their intervals."""
    if not gaps:
        return Verdict(absent)
    total = len(claim.pairs)
    needed = total // 2 + 1 if claim.most else total
    holding = sum(gap.low >= claim.margin for gap in gaps)
    failing = sum(gap.high < claim.margin for gap in gaps)
    outcome: Outcome = absent if len(gaps) < total else "not settled"
    if holding >= needed:
        outcome = "holds"
    elif failing > total - needed:
        outcome = "does not hold"
    counts = {
        "hold": holding,
        "fail": failing,
        "not settled": len(gaps) - holding - failing,
        absent: total - len(gaps),
    }
    counted = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    smallest = _describe(min(gaps, key=lambda gap: gap.low))
    return Verdict(outcome, f"{total} comparison{'s' * (total > 1)}: {counted}. Smallest difference {smallest}.")


def _describe(gap: Gap) -> str:
    """A gap in words: what differs between its two sides, with numbers, then what they share."""
    better, worse = (_in_words(key) for key in (gap.better, gap.worse))
    first = ", ".join(a for a, b in zip(better, worse, strict=True) if a != b)
    second = ", ".join(b for a, b in zip(better, worse, strict=True) if a != b)
    shared = ", ".join(a for a, b in zip(better, worse, strict=True) if a == b)
    bounds = f" [{gap.ci95[0]:+.1f}, {gap.ci95[1]:+.1f}]" if gap.ci95 else ""
    x, y = gap.accuracies
    return f"{gap.points:+.1f}{bounds}: {first} {x:.1f} against {second} {y:.1f} ({shared})"


def _in_words(key: Selector) -> tuple[str, str, str]:
    defence = "no defence" if key.defence == "none" else key.defence
    return key.model, defence, "clean images" if key.attack == NONE else key.attack


def doing_nothing(found: Iterable[Selector], comparable: Callable[[Selector], bool]) -> Claim:
    """The check of ours: that no attack leaves a defence more accurate than clean images do.

    Args:
        found: The accuracies that there are.
        comparable: Whether the defence of an accuracy under attack is the same one as on clean images.
    """
    found = list(found)
    attacked = [key for key in found if key.attack != NONE and key._replace(attack=NONE) in found]
    pairs = tuple((key._replace(attack=NONE), key) for key in attacked if comparable(key))
    text = "No defence is more accurate under an attack than on clean images (else doing nothing is the better attack)"
    return Claim(text, "a check of ours, not the paper's", pairs, ours=True)


def _switches(dataset: str, key: Selector) -> bool:
    """Whether the paper defends with other parameters under this attack than on clean images (captions, Table 6)."""
    return dataset == "cifar100" and key.model == "iat" and parse_attack(key.attack).targeted


def _same_parameters(run: Run, key: Selector) -> bool:
    """Whether the spec defends with the same parameters under this attack as on clean images."""
    (variant,) = [variant for variant in run.spec.variants() if variant.name == key.defence]
    parts = {part.removesuffix("-untargeted") for part in variant.defence.split("+")}

    def of(targeted: bool) -> dict[str, object]:
        parameters = run.spec.parameters_for(key.model, targeted=targeted, variant=variant)
        return parameters.model_dump(by_alias=True, include={part.replace("-", "_") for part in parts})

    return of(parse_attack(key.attack).targeted) == of(False)
