"""Verdicts on claims, by the paper's own figures and as measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from counteract._statistics import wilson
from counteract.attacks.base import CLEAN
from counteract.attacks.registry import recorded_attack
from counteract.defences import UNDEFENDED
from counteract.evaluation.cells import Cell, in_all
from counteract.evaluation.results import Run
from counteract.evaluation.scores import Accuracy, compare
from counteract.reporting.paper.claims import BASELINES, TIMES, Claim, claims_about
from counteract.reporting.paper.figures import Published, Selector, all_published, family, reproduces

Outcome = Literal["holds", "does not hold", "not settled", "not measured", "not published"]

_ATTACKS = {CLEAN: "clean images"}
"""Attacks in words, where their names are none."""


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
        """The lower end of the interval, or the difference itself."""
        return self.points if self.ci95 is None else self.ci95[0]

    @property
    def high(self) -> float:
        """The upper end of the interval, or the difference itself."""
        return self.points if self.ci95 is None else self.ci95[1]


@dataclass(frozen=True)
class Verdict:
    """The outcome for a claim, with the evidence in words."""

    outcome: Outcome
    evidence: str = ""


@dataclass(frozen=True)
class Assessment:
    """A claim with the verdicts of the paper's own figures and of the run."""

    claim: Claim
    paper: Verdict
    measured: Verdict


def assess(run: Run) -> list[Assessment]:
    """Judges the claims about the table or figure that a run is about, and the check of ours on any run.

    None are judged by a cascade: each of its accuracies is that of several attacks.
    """
    if run.spec.cascade:
        return []
    numbers = all_published(run)
    cells = {Selector(cell.model, cell.defence, cell.attack): cell for cell in run.measured}
    about, values = reproduces(run), run.spec.sweep.values if run.spec.sweep else ()
    found = [
        Assessment(claim, judge_published(claim, numbers), judge_measured(claim, cells))
        for claim in claims_about(about, tuple(run.spec.models), values, len(run.class_names))
    ]
    if about in ("Table 1", "Table 2"):
        found += judge_cost(run)
    elif about == "Figure 1":
        found += judge_one_label(run)
    theirs = doing_nothing(numbers, lambda key: not _switches(family(run), key))
    ours = doing_nothing(cells, lambda key: _same_parameters(run, key))
    return [*found, Assessment(ours, judge_published(theirs, numbers), judge_measured(ours, cells))]


def judge_published(claim: Claim, numbers: Mapping[Selector, Published]) -> Verdict:
    """Judges a claim by the paper's own figures."""
    gaps = []
    for better, worse in claim.pairs:
        if better in numbers and worse in numbers:
            pair = numbers[better].accuracy, numbers[worse].accuracy
            gaps.append(Gap(better, worse, pair, round(pair[0] - pair[1], 1)))  # they are printed with one decimal
    return _judge(claim, gaps, "not published")


def judge_measured(claim: Claim, cells: Mapping[Selector, Cell]) -> Verdict:
    """Judges a claim as measured, by the seeds and examples that both of a pair have."""
    gaps = []
    for better, worse in claim.pairs:
        first, second = cells.get(better), cells.get(worse)
        if first and second and (found := compare(first, second)):
            gaps.append(Gap(better, worse, _accuracies(first, second), found.points, found.ci95))
    return _judge(claim, gaps, "not measured")


def _accuracies(first: Cell, second: Cell) -> tuple[float, float]:
    """Returns the accuracies of two cells on the seeds and examples that both have."""
    seeds = sorted(first.measured.keys() & second.measured.keys())
    both = in_all([cell.correct[seed] for cell in (first, second) for seed in seeds])
    return Accuracy.of(both[: len(seeds)]).accuracy, Accuracy.of(both[len(seeds) :]).accuracy


def _judge(claim: Claim, gaps: Sequence[Gap], absent: Outcome) -> Verdict:
    """Judges by the number of pairs that are so, and are not so, beyond their intervals."""
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
    """Returns a gap in words: what differs between its two sides, with numbers, then what they share."""
    better, worse = (key._replace(attack=_ATTACKS.get(key.attack, key.attack)) for key in (gap.better, gap.worse))
    first = ", ".join(a for a, b in zip(better, worse, strict=True) if a != b)
    second = ", ".join(b for a, b in zip(better, worse, strict=True) if a != b)
    shared = ", ".join(a for a, b in zip(better, worse, strict=True) if a == b)
    bounds = f" [{gap.ci95[0]:+.1f}, {gap.ci95[1]:+.1f}]" if gap.ci95 else ""
    x, y = gap.accuracies
    return f"{gap.points:+.1f}{bounds}: {first} {x:.1f} against {second} {y:.1f} ({shared})"


def doing_nothing(found: Iterable[Selector], comparable: Callable[[Selector], bool]) -> Claim:
    """Returns the check of ours: that no attack leaves a defence more accurate than clean images do.

    Args:
        found: The accuracies that there are.
        comparable: True for an accuracy under attack whose defence is the same one as on clean images.
    """
    found = list(found)
    attacked = [key for key in found if key.attack != CLEAN and key._replace(attack=CLEAN) in found]
    pairs = tuple((key._replace(attack=CLEAN), key) for key in attacked if comparable(key))
    text = "No defence is more accurate under an attack than on clean images (else doing nothing is the better attack)"
    return Claim(text, "a check of ours, not the paper's", "", pairs, ours=True)


def judge_cost(run: Run) -> list[Assessment]:
    """Judges that counteraction does not cost too much, by forward passes; the measured time is told beside them."""
    source, quote = (
        "Section 3",
        (
            "The required gradient for generating small perturbations can be computed efficiently in parallel using "
            "backpropagation. This would not increase too much time for inference."
        ),
    )
    rows = {(row.model, row.defence): row for row in reversed(run.rows)}
    read = f"(read as: {TIMES:g} times the cost at most, in forward passes, a backward pass counting as one)"
    found = []
    for text, bases in {"alone": (UNDEFENDED,), "before a baseline": BASELINES}.items():
        pairs = [
            (f"{model}, {base}", rows[model, base], rows[model, after])
            for model in run.spec.models
            for base in bases
            if (model, base) in rows and (model, after := _with_counteraction(base)) in rows
        ]
        holding = sum(after.forward_passes <= TIMES * before.forward_passes for _, before, after in pairs)
        told = "; ".join(
            f"{name}: {after.forward_passes} instead of {before.forward_passes}, measured time "
            f"{after.relative_time:.1f} instead of {before.relative_time:.1f}"
            for name, before, after in pairs
        )
        counted = (
            f"{len(pairs)} comparison{'s' * (len(pairs) > 1)}: {holding} hold, {len(pairs) - holding} fail. {told}."
        )
        outcome: Outcome = "holds" if holding == len(pairs) else "does not hold"
        measured = Verdict(outcome, counted) if pairs else Verdict("not measured")
        claim = Claim(f"Counteraction {text} does not cost too much time {read}", source, quote, ())
        found.append(Assessment(claim, Verdict("not published"), measured))
    return found


def _with_counteraction(base: str) -> str:
    return "counteraction" if base == UNDEFENDED else f"counteraction+{base}"


def judge_one_label(run: Run) -> list[Assessment]:
    """Judges what the paper's Figure 1 illustrates, by the share of pairs of image and label for which it is so.

    Pairs of one image are not independent: the interval is Wilson's for as many observations as there are images.
    """
    source, quote = (
        "Section 3, Figure 1",
        (
            "We see that by adding perturbations generated for non-predicted labels to the input, the prediction "
            "probability for the correct category increases and that for the incorrect label is suppressed."
        ),
    )
    found = []
    for text, name in {
        "raises the correct category's probability": "gained",
        "lowers the probability of the incorrect label": "suppressed",
    }.items():
        outcomes, told = set(), []
        for model, shown in run.illustrations.items():
            pairs = getattr(shown, name).double()
            if not len(pairs):
                continue
            share = float(pairs.mean())
            low, high = wilson(share * len(pairs), len(pairs))
            outcomes.add("holds" if low > 0.5 else "does not hold" if high < 0.5 else "not settled")
            told.append(f"{model}: {100 * share:.1f}% [{100 * low:.1f}, {100 * high:.1f}] of {pairs.numel()} pairs, "
                        f"n = {len(pairs)} images")  # fmt: skip
        outcome: Outcome = "holds" if outcomes == {"holds"} else "not settled"
        if "does not hold" in outcomes:
            outcome = "does not hold"
        claim = Claim(
            f"The perturbation for one non-predicted label alone {text} (read as: in more than half of the pairs of an "
            "adversarial image and a label, on each network)",
            source, quote, (),
        )  # fmt: skip
        measured = Verdict(outcome, f"{'; '.join(told)}.") if told else Verdict("not measured")
        found.append(Assessment(claim, Verdict("not published"), measured))
    return found


def _switches(dataset: str, key: Selector) -> bool:
    """Returns True if the paper has other parameters under this attack than on clean images (captions, Table 6)."""
    return dataset == "cifar100" and key.model == "iat" and recorded_attack(key.attack).targeted


def _same_parameters(run: Run, key: Selector) -> bool:
    """Returns True if the run defends with the same parameters under this attack as on clean images."""
    targeted = recorded_attack(key.attack).targeted
    there, clean = (run.defences.get((key.model, key.defence, kind)) for kind in (targeted, False))
    return there == clean
