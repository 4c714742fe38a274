"""The paper's claims as data: pairs of accuracies of which it says that one is better."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from counteract.defences import UNDEFENDED
from counteract.evaluation.scores import CLEAN
from counteract.reporting.paper.figures import Selector

Pairs = tuple[tuple[Selector, Selector], ...]

COMPARABLE = 2.0
"""The points that the paper's "comparable performance" may lose, as read here."""

SMALL = 10.0
"""The points on clean images that are read here as a small cost."""

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
        pairs: The better and the worse.
        margin: The least difference in points; below zero, the points that it may be worse.
        most: True if it is enough that more than half of the pairs are so.
        ours: True if it is not the paper's.
    """

    text: str
    source: str
    pairs: Pairs
    margin: float = 0.0
    most: bool = False
    ours: bool = False


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


def _swept(networks: Iterable[str], attack: str, better: str, worse: str) -> Pairs:
    """Returns counteraction with one value of the swept parameter against another."""
    return tuple(
        (Selector(network, f"counteraction@{better}", attack), Selector(network, f"counteraction@{worse}", attack))
        for network in networks
    )


def _sized(text: str, source: str, pairs: Pairs, points: float) -> list[Claim]:
    """Returns a claim that the first is better, and one that it is so by as much as the paper says."""
    return [Claim(text, source, pairs), Claim(f"{text}, by at least {points} points", source, pairs, points)]


def _untargeted_gains(table: str, sizes: dict[str, float]) -> list[Claim]:
    found = []
    for network, points in sizes.items():
        text = f"Counteraction improves each of the three baselines against untargeted attacks on the {network} network"
        found += _sized(text, f"Section 4.2, {table}", _gains([network], BASELINES, UNTARGETED), points)
    return found


def _more_iterations(table: str) -> list[Claim]:
    ours = ["counteraction", *(f"counteraction+{baseline}" for baseline in BASELINES)]
    source, up = f"Section 4.2, observation 2, {table}", _iterations(ours, 200, 10)
    comparable = f"no more than {COMPARABLE:g} points"
    return [
        Claim("Attacks with more iterations (PGD-200 against PGD-10) reduce the baselines", source,
              _iterations(BASELINES, 10, 200)),
        Claim("More iterations leave counteraction more accurate in most cases", source, up, most=True),
        Claim(f"More iterations cost counteraction nothing or little (read as: {comparable})", source, up, -COMPARABLE),
    ]  # fmt: skip


def _table1() -> list[Claim]:
    source = "Section 4.2, observation 3, Table 1"
    combined = [f"counteraction+{baseline}" for baseline in BASELINES]
    rivals = [("iat", defence) for defence in (UNDEFENDED, "counteraction", *BASELINES, *combined)]
    found = [
        *_untargeted_gains("Table 1", {"mixup": 12.5, "iat": 4.1}),
        Claim("Against targeted attacks it improves crop-pad and crop-resize on the mixup network",
              "Section 4.2, Table 1", _gains(["mixup"], BASELINES[:2], TARGETED)),
        Claim("Against targeted attacks it improves crop-pad on the iat network",
              "Section 4.2, Table 1", _gains(["iat"], BASELINES[:1], TARGETED)),
        *_more_iterations("Table 1"),
    ]  # fmt: skip
    for attack, points in {TARGETED[1]: 1.4, TARGETED[2]: 3.2}.items():
        text = f"Under {attack} counteraction+crop-resize on the mixup network beats every defence of the iat network"
        found += _sized(text, source, _rivals(("mixup", "counteraction+crop-resize"), rivals, [attack]), points)
    return found


def _table2() -> list[Claim]:
    text = "Against targeted attacks it consistently improves crop-pad and crop-resize"
    return [
        *_untargeted_gains("Table 2", {"mixup": 6.4, "iat": 1.6}),
        Claim(text, "Section 4.2, Table 2", _gains(NETWORKS, BASELINES[:2], TARGETED)),
        *_more_iterations("Table 2"),
    ]


def _table3() -> list[Claim]:
    rivals = ["gaussian-noise", "rotation", "crop-pad", "mixup-inference"]
    pairs = _rivals(
        ("mixup", "counteraction+crop-resize"),
        [("mixup", "crop-resize"), *(("mixup", f"{rival}+crop-resize") for rival in rivals)],
        TARGETED,
    )
    text = "Before crop-resize, counteraction outperforms noise, rotation, crop-pad and mixup inference"
    return [Claim(text, "Table 3 and its discussion", pairs)]


def _table4() -> list[Claim]:
    source, gentle, harsh = "Table 4 and its discussion", "counteraction-untargeted", "counteraction"

    def clean(ours: str, *rivals: str) -> Pairs:
        return tuple(p for n in NETWORKS for p in _rivals((n, ours), [(n, rival) for rival in rivals], [CLEAN]))

    read = f"(read as: at {{}} {SMALL:g} points)"
    return [
        Claim("On clean images untargeted perturbations are mostly better than the baselines",
              source, clean(gentle, *BASELINES), most=True),
        Claim("On clean images untargeted perturbations are better than targeted ones",
              source, clean(gentle, harsh)),
        Claim(f"Untargeted perturbations cost little on clean images {read.format('most')}",
              source, clean(gentle, UNDEFENDED), -SMALL),
        Claim(f"Targeted perturbations cost much on clean images {read.format('least')}",
              source, clean(UNDEFENDED, harsh), SMALL),
    ]  # fmt: skip


def _figure2(networks: Sequence[str]) -> list[Claim]:
    source, small, middle, large = "Section 4.2, Figure 2", "1/255", "4/255", "8/255"
    untargeted, targeted = UNTARGETED[0], TARGETED[0]
    return [
        Claim("Against untargeted attacks a step of 8/255 is better than one of 1/255",
              source, _swept(networks, untargeted, large, small)),
        Claim("Against targeted attacks a step of 4/255 is better than one of 1/255",
              source, _swept(networks, targeted, middle, small)),
        Claim("Against targeted attacks a step of 8/255 is no better than one of 4/255 "
              f"(read as: by no more than {COMPARABLE:g} points)",
              source, _swept(networks, targeted, middle, large), -COMPARABLE),
    ]  # fmt: skip


def _figure3(networks: Sequence[str]) -> list[Claim]:
    kinds = {"untargeted": UNTARGETED[0], "targeted": TARGETED[0]}
    return [
        Claim(f"Against {kind} attacks nine labels are better than one",
              "Section 4.2, Figure 3", _swept(networks, attack, "9", "1"))
        for kind, attack in kinds.items()
    ]  # fmt: skip


def claims_about(about: str | None, networks: Sequence[str]) -> list[Claim]:
    """Returns the paper's claims about one of its tables or figures.

    Args:
        about: `Table 1` to `Table 4`, `Figure 2` or `Figure 3`; there are none about anything else.
        networks: The labels of the networks that claims about figures are held against, each for itself.
    """
    makers: dict[str | None, Callable[[], list[Claim]]] = {
        "Table 1": _table1,
        "Table 2": _table2,
        "Table 3": _table3,
        "Table 4": _table4,
        "Figure 2": lambda: _figure2(networks),
        "Figure 3": lambda: _figure3(networks),
    }
    maker = makers.get(about)
    return maker() if maker else []
