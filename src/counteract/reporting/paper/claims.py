"""The paper's claims as data: pairs of accuracies of which it says that one is better."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from counteract.attacks.base import CLEAN
from counteract.defences import UNDEFENDED
from counteract.reporting.paper.figures import Selector

Pairs = tuple[tuple[Selector, Selector], ...]

COMPARABLE = 2.0
"""The points that the paper's "comparable performance" may lose, as read here."""

SMALL = 10.0
"""The points on clean images that are read here as a small cost."""

TIMES = 2.0
"""The multiple of a cost that is read here as "not too much"."""

NETWORKS = ("mixup", "iat")
BASELINES = ("crop-pad", "crop-resize", "mixup-inference")
UNTARGETED = ("pgd10", "pgd50", "pgd200")
TARGETED = ("pgd10-targeted", "pgd50-targeted", "pgd200-targeted")


@dataclass(frozen=True)
class Claim:
    """A claim that the first of each pair is better than the second.

    Attributes:
        text: Its words.
        source: The place in the paper.
        quote: The paper's own sentence.
        pairs: The better and the worse.
        margin: The least difference in points; below zero, the points that it may be worse.
        most: True if it is enough that more than half of the pairs are so.
        ours: True if it is not the paper's.
    """

    text: str
    source: str
    quote: str
    pairs: Pairs
    margin: float = 0.0
    most: bool = False
    ours: bool = False

    @property
    def origin(self) -> str:
        """The place in the paper, with its sentence."""
        return f"{self.source}: \u201c{self.quote}\u201d" if self.quote else self.source


def _gains(networks: Iterable[str], baselines: Iterable[str], attacks: Sequence[str]) -> Pairs:
    """Returns counteraction before each baseline against the baseline alone."""
    return tuple(
        (Selector(network, f"counteraction+{baseline}", attack), Selector(network, baseline, attack))
        for network in networks
        for baseline in baselines
        for attack in attacks
    )


def _rivals(ours: tuple[str, str], rivals: Iterable[tuple[str, str]], attacks: Sequence[str]) -> Pairs:
    """Returns one network and defence against others, under each attack."""
    return tuple((Selector(*ours, attack), Selector(*rival, attack)) for rival in rivals for attack in attacks)


def _iterations(defences: Iterable[str], better: int, worse: int) -> Pairs:
    """Returns attacks with so many steps against the same with other so many, on both networks."""
    return tuple(
        (Selector(network, defence, f"pgd{better}{kind}"), Selector(network, defence, f"pgd{worse}{kind}"))
        for network in NETWORKS
        for defence in defences
        for kind in ("", "-targeted")
    )


def _swept(networks: Iterable[str], attack: str, pairs: Iterable[tuple[object, object]]) -> Pairs:
    """Returns counteraction with some values of the swept parameter against others."""
    return tuple(
        (Selector(network, f"counteraction@{better}", attack), Selector(network, f"counteraction@{worse}", attack))
        for network in networks
        for better, worse in pairs
    )


def _rising(networks: Iterable[str], attack: str, values: Sequence[object]) -> Pairs:
    """Returns each value of the swept parameter against every smaller one."""
    return _swept(networks, attack, [(large, small) for small, large in combinations(values, 2)])


def _sized(claim: Claim, points: float) -> list[Claim]:
    """Returns a claim that the first is better, and one that it is so by as much as the paper says."""
    return [claim, replace(claim, text=f"{claim.text}, by at least {points} points", margin=points)]


def _both_tables(table: str, sizes: dict[str, float], quote: str) -> list[Claim]:
    """Returns the claims that the paper makes about Table 1 and Table 2 alike."""
    ours = ["counteraction", *(f"counteraction+{baseline}" for baseline in BASELINES)]
    every, second = (*UNTARGETED, *TARGETED), f"Section 4.2, observation 2, {table}"
    found = [
        Claim(
            "Counteraction alone improves both networks",
            f"Sections 1 and 5, {table}",
            "Our method is applied at inference time and complementary to the adversarial training method to improve "
            "overall defense performance.",
            tuple(p for n in NETWORKS for p in _rivals((n, "counteraction"), [(n, UNDEFENDED)], every)),
        )
    ]
    for network, points in sizes.items():
        text = f"Counteraction improves each of the three baselines against untargeted attacks on the {network} network"
        pairs = _gains([network], BASELINES, UNTARGETED)
        found += _sized(Claim(text, f"Section 4.2, {table}", quote, pairs), points)
    strong = (
        "the proposed method achieves improved performance for defending against most strong PDG attacks. And for the "
        "remaining attacks, the use of more iterations results in comparable performance as the use of less iterations."
    )
    return [
        *found,
        Claim(
            "In most cases it improves the baselines",
            f"Section 4.2, observation 1, {table}",
            "In most cases, the proposed method improves defense performance of the baseline methods.",
            _gains(NETWORKS, BASELINES, every),
            most=True,
        ),
        Claim(
            "Before crop-pad and crop-resize it is mostly better than before mixup inference",
            f"Section 4.2, observation 1, {table}",
            "Among the three baseline methods, the joint use of our method with Xie et al.'s and Guo et al.'s methods "
            "performs well compared to with the MI-OL method.",
            tuple(
                (Selector(network, f"counteraction+{crops}", attack), Selector(network, ours[-1], attack))
                for network in NETWORKS
                for crops in BASELINES[:2]
                for attack in every
            ),
            most=True,
        ),
        Claim(
            "Attacks with more iterations (PGD-200 against PGD-10) reduce the baselines",
            second,
            "The results of the baselines also show that PGD attacks with more iterations result in reduced "
            "performance.",
            _iterations(BASELINES, 10, 200),
        ),
        Claim(
            "More iterations leave counteraction more accurate in most cases",
            second,
            strong,
            _iterations(ours, 200, 10),
            most=True,
        ),
        Claim(
            f"More iterations cost counteraction nothing or little (read as: no more than {COMPARABLE:g} points)",
            second,
            strong,
            _iterations(ours, 200, 10),
            -COMPARABLE,
        ),
        Claim(
            "Before crop-resize on the mixup network it is at least as good as the undefended iat network "
            f"(read as: worse by no more than {COMPARABLE:g} points; with the other dataset's table 12 comparisons)",
            f"Section 4.2, observation 3, {table}",
            "Overall, our method together with Guo et al.'s achieve better or comparable performance than pure IAT "
            "trained models.",
            _rivals(("mixup", "counteraction+crop-resize"), [("iat", UNDEFENDED)], every),
            -COMPARABLE,
        ),
    ]


def _table1() -> list[Claim]:
    quote = (
        "the proposed method significantly helps to improve defense performance of the baseline methods against "
        "untargeted attacks, achieving at least 12.5% and 4.1% performance gains for Mixup and IAT trained models, "
        "respectively."
    )
    targeted = (
        "For defending against targeted attacks, the proposed method performs well in combination with Xie et al.'s "
        "and Guo et al.'s for Mixup trained models, and it performs well together with Xie et al.'s for IAT trained "
        "models."
    )
    beats = (
        "For defending against targeted PGD50 and PGD200 attacks on CIFAR-10, our method together with Guo et al.'s on "
        "Mixup trained models achieve higher performance than those obtained on IAT trained models, improving the "
        "classification accuracy 1.4% and 3.2%, respectively."
    )
    combined = [f"counteraction+{baseline}" for baseline in BASELINES]
    rivals = [("iat", defence) for defence in (UNDEFENDED, "counteraction", *BASELINES, *combined)]
    found = [
        *_both_tables("Table 1", {"mixup": 12.5, "iat": 4.1}, quote),
        Claim(
            "Against targeted attacks it improves crop-pad and crop-resize on the mixup network",
            "Section 4.2, Table 1",
            targeted,
            _gains(["mixup"], BASELINES[:2], TARGETED),
        ),
        Claim(
            "Against targeted attacks it improves crop-pad on the iat network",
            "Section 4.2, Table 1",
            targeted,
            _gains(["iat"], BASELINES[:1], TARGETED),
        ),
    ]
    for attack, points in {TARGETED[1]: 1.4, TARGETED[2]: 3.2}.items():
        text = f"Under {attack} counteraction+crop-resize on the mixup network beats every defence of the iat network"
        pairs = _rivals(("mixup", "counteraction+crop-resize"), rivals, [attack])
        found += _sized(Claim(text, "Section 4.2, observation 3, Table 1", beats, pairs), points)
    return found


def _table2() -> list[Claim]:
    quote = (
        "as with on CIFAR-10, the proposed method also helps improve defense performance against untargeted attacks on "
        "CIFAR-100, achieving at least 6.4% and 1.6% performance improvements for Mixup and IAT trained models, "
        "respectively."
    )
    return [
        *_both_tables("Table 2", {"mixup": 6.4, "iat": 1.6}, quote),
        Claim(
            "Against targeted attacks it consistently improves crop-pad and crop-resize",
            "Section 4.2, Table 2",
            "For defending against targeted attacks, our method consistently helps to improve defense performance when "
            "applied on Xie et al.'s and Guo et al.'s methods.",
            _gains(NETWORKS, BASELINES[:2], TARGETED),
        ),
    ]


def _table3() -> list[Claim]:
    rivals = ["gaussian-noise", "rotation", "crop-pad", "mixup-inference"]
    pairs = _rivals(
        ("mixup", "counteraction+crop-resize"),
        [("mixup", "crop-resize"), *(("mixup", f"{rival}+crop-resize") for rival in rivals)],
        TARGETED,
    )
    text = "Before crop-resize, counteraction outperforms noise, rotation, crop-pad and mixup inference"
    quote = (
        "our method outperforms these methods by a large margin, especially when resisting adversarial examples "
        "generated using more iterations."
    )
    return [Claim(text, "Table 3 and its discussion", quote, pairs)]


def _table4() -> list[Claim]:
    source, gentle, harsh = "Table 4 and its discussion", "counteraction-untargeted", "counteraction"

    def clean(ours: str, *rivals: str) -> Pairs:
        return tuple(p for n in NETWORKS for p in _rivals((n, ours), [(n, rival) for rival in rivals], [CLEAN]))

    read = f"(read as: at {{}} {SMALL:g} points)"
    well = (
        "Our method mostly performs very well on clean inputs compared to the baselines when the perturbations used "
        "for defense purposes are generated in an untargeted manner."
    )
    differs = (
        "We see that our method performs differently using different types of perturbations that are generated for "
        "defense purposes."
    )
    return [
        Claim("On clean images untargeted perturbations are mostly better than the baselines",
              source, well, clean(gentle, *BASELINES), most=True),
        Claim("On clean images untargeted perturbations are better than targeted ones",
              source, differs, clean(gentle, harsh)),
        Claim(f"Untargeted perturbations cost little on clean images {read.format('most')}",
              source, well, clean(gentle, UNDEFENDED), -SMALL),
        Claim(f"Targeted perturbations cost much on clean images {read.format('least')}",
              source, differs, clean(UNDEFENDED, harsh), SMALL),
    ]  # fmt: skip


def _trend(
    kind: str, attack: str, networks: Sequence[str], values: Sequence[object], origin: tuple[str, str]
) -> list[Claim]:
    """Returns the claims that accuracy rises with the swept parameter: from end to end, and without a fall."""
    source, quote = origin
    least, greatest = values[0], values[-1]
    return [
        Claim(f"Against {kind} attacks {greatest} is better than {least}",
              source, quote, _swept(networks, attack, [(greatest, least)])),
        Claim(f"Against {kind} attacks accuracy falls nowhere from {least} to {greatest} "
              f"(read as: no value is worse than a smaller one by more than {COMPARABLE:g} points)",
              source, quote, _rising(networks, attack, values), -COMPARABLE),
    ]  # fmt: skip


def _beyond(
    kind: str, attack: str, networks: Sequence[str], best: object, values: Sequence[object], origin: tuple[str, str]
) -> Claim:
    """Returns the claim that accuracy rises no further with the swept parameter."""
    source, quote = origin
    text = f"Against {kind} attacks no value beyond {best} is better (read as: by no more than {COMPARABLE:g} points)"
    return Claim(text, source, quote, _swept(networks, attack, [(best, value) for value in values]), -COMPARABLE)


def _figure2(networks: Sequence[str]) -> list[Claim]:
    steps = [f"{step}/255" for step in range(1, 9)]
    untargeted = (
        "Section 4.2, Figure 2",
        "The performance improves as the step size increases from 1 to 8 for untargeted tasks on the two datasets.",
    )
    targeted = (
        "Section 4.2, Figure 2",
        "For targeted attacks, the performance improves as the step size increases from 1 to 4 but starts to reduce or "
        "maintain similar performance as the step size further increases.",
    )
    return [
        *_trend("untargeted", UNTARGETED[0], networks, steps, untargeted),
        *_trend("targeted", TARGETED[0], networks, steps[:4], targeted),
        _beyond("targeted", TARGETED[0], networks, steps[3], steps[4:], targeted),
    ]


def _figure3(networks: Sequence[str], values: Sequence[object]) -> list[Claim]:
    counts = list(range(1, 10))
    more = [value for value in values if isinstance(value, int) and value > counts[-1]]
    quote = (
        "On CIFAR-100, the performance also improves as the number increases from 1 to 9 but begins to drop or remain "
        "similar as the number further increases."
        if more
        else "the performance improves for both untargeted and targeted attacks as the number increases from 1 to 9 on "
        "CIFAR-10."
    )
    origin, found = ("Section 4.2, Figure 3", quote), []
    for kind, attack in {"untargeted": UNTARGETED[0], "targeted": TARGETED[0]}.items():
        found += _trend(kind, attack, networks, counts, origin)
        if more:
            found.append(_beyond(kind, attack, networks, counts[-1], more, origin))
    return found


def _steps(networks: Sequence[str], values: Sequence[object]) -> list[Claim]:
    several = [(1, value) for value in values if value != 1]
    return [
        Claim(
            f"Against {kind} attacks perturbations of several steps are worse than those of one",
            "Section 4.2, discussion on number of steps",
            "We also experiment using multiple steps to generate perturbations for defense purposes. However, we find "
            "that this results in reduced performance in defending against adversarial examples.",
            tuple(pair for attack in attacks for pair in _swept(networks, attack, several)),
        )
        for kind, attacks in {"untargeted": UNTARGETED[:2], "targeted": TARGETED[:2]}.items()
    ]


def _perturbations(classes: int) -> list[Claim]:
    source, bases = "Section 4.2, discussion on type of defense perturbations", ("", "+crop-resize")
    counteracted = (
        "Overall, untargeted adversarial perturbations can be effectively counteracted using perturbations generated "
        "in a targeted manner by our method."
    )
    chosen = (
        "In our experiments, small perturbations used to counteract the adversarial perturbation are generated in a "
        "targeted manner other than for targeted attacks on IAT trained models on CIFAR-100, small perturbations are "
        "generated in an untargeted manner."
    )

    def kinds(network: str, better: str, worse: str, attacks: Sequence[str]) -> Pairs:
        return tuple(p for b in bases for p in _rivals((network, better + b), [(network, worse + b)], attacks))

    harsh, gentle, turned = "counteraction", "counteraction-untargeted", ("iat" if classes == 100 else None)
    targeted = tuple(
        pair
        for network in NETWORKS
        for pair in kinds(network, *((gentle, harsh) if network == turned else (harsh, gentle)), TARGETED)
    )
    exception = " (on the iat network: untargeted than targeted)" if turned else ""
    return [
        Claim("Against untargeted attacks targeted perturbations improve both networks, alone and before crop-resize",
              source, counteracted,
              (*(p for n in NETWORKS for p in _rivals((n, harsh), [(n, UNDEFENDED)], UNTARGETED)),
               *_gains(NETWORKS, ["crop-resize"], UNTARGETED))),
        Claim("Against untargeted attacks targeted perturbations are better than untargeted ones",
              source, chosen, tuple(p for n in NETWORKS for p in kinds(n, harsh, gentle, UNTARGETED))),
        Claim(f"Against targeted attacks targeted perturbations are better than untargeted ones{exception}",
              source, chosen, targeted),
    ]  # fmt: skip


def claims_about(
    about: str | None, networks: Sequence[str], values: Sequence[object] = (), classes: int = 10
) -> list[Claim]:
    """Returns the paper's claims about one of its tables, figures or discussions.

    Args:
        about: `Table 1` to `Table 4`, `Figure 2`, `Figure 3`, `Steps` or `Perturbations`; there are none about
            anything else.
        networks: The labels of the networks that claims about a sweep are held against, each for itself.
        values: The values of the sweep.
        classes: The number of classes, on which some claims depend.
    """
    makers: dict[str | None, Callable[[], list[Claim]]] = {
        "Table 1": _table1,
        "Table 2": _table2,
        "Table 3": _table3,
        "Table 4": _table4,
        "Figure 2": lambda: _figure2(networks),
        "Figure 3": lambda: _figure3(networks, values),
        "Steps": lambda: _steps(networks, values),
        "Perturbations": lambda: _perturbations(classes),
    }
    maker = makers.get(about)
    return maker() if maker else []
