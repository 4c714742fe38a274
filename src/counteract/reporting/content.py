"""What the Markdown and the HTML report say, as text in tables: the same in both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from counteract.evaluation.attacks import NONE, parse_attack
from counteract.evaluation.record import Run
from counteract.evaluation.scores import Accuracy, Difference, Row
from counteract.reporting.lines import (
    Line,
    adaptive_attacks,
    describe,
    examples,
    gain,
    interval,
    make_lines,
    points,
    progress,
    shortcuts,
    strongest,
)
from counteract.reporting.paper import Beside, beside
from counteract.reporting.verdicts import Assessment, Verdict

GLOSSARY = (
    "With each accuracy goes its Wilson 95% interval. oblivious worst case: what is left when every example meets the "
    "attack of this run that is worst for it{clean}. adaptive: not measured; the worst case over adaptive attacks too "
    "can only be lower. static: the undefended network's worst case. Costs: forward passes per prediction (a backward "
    "pass counts as one), and measured time in units of one plain forward."
)

ADAPTIVE = (
    "With each accuracy goes its Wilson 95% interval, with each difference its paired one. oblivious worst case: what "
    "is left when every example meets the attack that is worst for it among those that do not know of the "
    "defence{clean}. adaptive: under the strongest single attack that does. static: the undefended network's worst "
    "case over all attacks. worst case: that of the network with the defence; gain: how far it lies above static. "
    "{draws}Costs: forward passes per prediction (a backward pass counts as one), and measured time in units of one "
    "plain forward."
)

DRAWS = (
    "Each example is judged by {draws} draws of the defence that no attack but `fixed` has seen: accuracy is the mean "
    "over them, any wrong the share of examples that one of them or more got wrong under any attack. "
)

GAINS = (
    "Each defence with counteraction against the same without: the difference of accuracies on the same examples, in "
    "points, with its paired 95% interval. {adaptive}"
)

NOT_ADAPTIVE = "Against oblivious attacks; adaptive: not measured."

CLAIMS = (
    "A claim holds if the paired 95% interval of each of its comparisons lies on the right side, does not hold if one "
    "lies on the wrong side, and is not settled otherwise; of a claim about most cases more than half must do so. Each "
    "interval is 95% for itself: of many, some miss by chance. The paper's own figures have no intervals and are taken "
    "as they are. All of it is about oblivious attacks."
)

PAPER = (
    "The paper's networks are ResNet-50s trained for 200 epochs, attacked on all 10,000 test images of CIFAR. Measured "
    "here: {networks}; {dataset}, n = {n}. A difference is one of networks as much as of methods. <=1 counts as 1."
)

MISSING = "-"


@dataclass(frozen=True)
class Item:
    """What a table has in one place: a text, and a smaller one under it."""

    text: str
    small: str = ""


@dataclass(frozen=True)
class Grid:
    """A table of texts."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Item, ...], ...]


def title(run: Run) -> str:
    """What the report is headed with."""
    return run.spec.title or describe(run)


def conditions(run: Run) -> list[tuple[str, str]]:
    """What the results depend on, name by name."""
    spec, eps = run.spec, run.spec.attack
    found = {
        "state": progress(run),
        "dataset": f"{spec.dataset}, n = {examples(run)}, {len(run.class_names)} classes",
        "seeds": str(spec.seeds),
        "networks": _networks(run),
        "attacks": f"{_kinds(run)}; eps = {255 * eps.eps:.3g}/255, step {255 * eps.eps_step:.3g}/255, "
        f"untargeted ones away from the {eps.attack_label} label",
        "versions and machine": ", ".join(f"{name} {value}" for name, value in run.environment.items()),
    }
    if any(parse_attack(name).recipe for name in spec.attacks):
        found["budget"] = ", ".join(f"{name} {value}" for name, value in spec.budget.model_dump().items())
    if spec.draws > 1:
        found["draws"] = f"{spec.draws} judge each example"
    if short := shortcuts(run):
        found["shortcuts"] = short
    if any("mixup-inference" in defence for defence in spec.defences):
        found["mixup pool"] = f"{spec.pool} images"
    return list(found.items())


def accuracies(run: Run) -> list[Grid]:
    """For each network its defences under every attack, with worst case and costs."""
    more = ["worst case", "gain"] if adaptive_attacks(run) else []
    more += ["any wrong"] if run.spec.draws > 1 else []
    header = ("defence", "oblivious worst case", "adaptive", "static", *more, *run.spec.attacks, "forwards", "time")
    return [Grid(model, header, _accuracy_rows(run, model)) for model in run.spec.models]


def glossary(run: Run) -> str:
    """What the columns of the accuracies mean."""
    clean = ", the clean images included" if NONE in run.spec.attacks else ""
    draws = DRAWS.format(draws=run.spec.draws) if run.spec.draws > 1 else ""
    return ADAPTIVE.format(clean=clean, draws=draws) if adaptive_attacks(run) else GLOSSARY.format(clean=clean)


def gains_note(run: Run) -> str:
    """What must be said beside the gains."""
    return GAINS.format(adaptive="" if adaptive_attacks(run) else NOT_ADAPTIVE).strip()


def _kinds(run: Run) -> str:
    return "oblivious and adaptive" if adaptive_attacks(run) else "oblivious"


def gains(run: Run) -> list[Grid]:
    """For each network what counteraction adds to each defence, under every attack."""
    found: dict[str, dict[str, dict[str, Difference]]] = {}
    for difference in filter(_is_gain, run.differences):
        by_defence = found.setdefault(difference.model, {})
        by_defence.setdefault(difference.defence, {})[difference.attack] = difference
    header = ("defence", *run.spec.attacks)
    return [
        Grid(
            model,
            header,
            tuple((Item(defence), *(_gain(given.get(a)) for a in run.spec.attacks)) for defence, given in rows.items()),
        )
        for model, rows in found.items()
    ]


def paper_beside_measured(run: Run) -> list[Grid]:
    """For each network the published accuracies with the measured ones and the differences."""
    header = ("defence", "attack", "paper", "measured", "difference")
    found = beside(run)
    models = [model for model in run.spec.models if any(item.published.selector.model == model for item in found)]
    return [
        Grid(model, header, tuple(_beside(item) for item in found if item.published.selector.model == model))
        for model in models
    ]


def paper_note(run: Run) -> str:
    """What must be said beside the paper's figures."""
    return PAPER.format(networks=_networks(run), dataset=run.spec.dataset, n=examples(run))


def summary(assessments: Iterable[Assessment]) -> list[str]:
    """How many of the paper's claims hold; nothing if there are none."""
    theirs = [found for found in assessments if not found.claim.ours]
    if not theirs:
        return []
    return [
        f"The paper's claims in its own figures: {_counted(found.paper for found in theirs)}.",
        f"The same as measured here: {_counted(found.measured for found in theirs)}.",
    ]


def _counted(verdicts: Iterable[Verdict]) -> str:
    outcomes = Counter(verdict.outcome for verdict in verdicts)
    return "; ".join(f"{outcome}: {count}" for outcome, count in outcomes.items())


def _networks(run: Run) -> str:
    return "; ".join(name if label == name else f"{label} is {name}" for label, name in run.spec.models.items())


def _accuracy_rows(run: Run, model: str) -> tuple[tuple[Item, ...], ...]:
    lines = make_lines(run, model)
    static = next((line.worst for line in lines if line.defence == NONE), None)
    return tuple(
        (
            Item(line.defence),
            _worst(line.summary.oblivious if line.summary else None),
            Item(*strongest(line.summary)),
            Item(points(static)),
            *_more(run, line),
            *(_accuracy(line.rows.get(attack), run.spec.seeds) for attack in run.spec.attacks),
            *_costs(line),
        )
        for line in lines
    )


def _worst(case: Accuracy | None) -> Item:
    return Item(points(case), interval(case.ci95) if case else "")


def _more(run: Run, line: Line) -> list[Item]:
    """What a table has besides when there are adaptive attacks, or several draws."""
    found = [_worst(line.worst), Item(*gain(line.summary))] if adaptive_attacks(run) else []
    if run.spec.draws > 1:
        found.append(Item(f"{line.worst.any_wrong:.1f}" if line.worst else MISSING))
    return found


def _accuracy(row: Row | None, seeds: int) -> Item:
    if row is None:
        return Item(MISSING)
    partial = f", {row.seeds} of {seeds} seeds" if row.seeds < seeds else ""
    return Item(points(row), interval(row.ci95) + partial)


def _costs(line: Line) -> tuple[Item, Item]:
    forwards = MISSING if line.forwards is None else str(line.forwards)
    return Item(forwards), Item(MISSING if line.relative_time is None else f"{line.relative_time:.1f}x")


def _is_gain(difference: Difference) -> bool:
    """Whether only counteraction tells the two defences apart."""
    first, _, rest = difference.defence.partition("+")
    return first.startswith("counteraction") and difference.baseline == (rest or NONE)


def _gain(difference: Difference | None) -> Item:
    if difference is None:
        return Item(MISSING)
    low, high = difference.ci95
    return Item(f"{difference.points:+.1f}", f"{low:+.1f} to {high:+.1f}")


def _beside(item: Beside) -> tuple[Item, ...]:
    measured, difference = item.measured, item.difference
    return (
        Item(item.published.selector.defence),
        Item(item.published.selector.attack),
        Item(item.published.text),
        Item(points(measured), interval(measured.ci95) if measured else ""),
        Item(MISSING if difference is None else f"{difference:+.1f}"),
    )
