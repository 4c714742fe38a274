"""The attacks of this package, by name."""

from __future__ import annotations

import re

from torch import Tensor

from counteract import _random
from counteract.attacks import losses
from counteract.attacks.base import CLEAN, Attack
from counteract.attacks.gradients import SUITE, Gradients, Restarts, TowardsClasses, by_pgd
from counteract.attacks.norms import NORMS
from counteract.attacks.pgd import Path, draw_starts
from counteract.attacks.preset import AttackPreset
from counteract.attacks.queries import Queries, by_rays, by_squares
from counteract.attacks.victim import Victim
from counteract.attacks.views import AROUND, CHEAP, DEFENDED, JOINT, JUDGED, SMOOTH, UNDEFENDED, UNDER


def _clean() -> Attack:
    def run(
        victim: Victim, images: Tensor, labels: Tensor, keys: Tensor, preset: AttackPreset, known: Tensor | None
    ) -> Tensor:
        del victim, labels, keys, preset, known
        return images

    about = "the images as they are"
    return Attack(CLEAN, about, run, gradients=False, preset=False, least_classes=1, norms=tuple(NORMS))


def _noise(name: str, about: str) -> Attack:
    def run(
        victim: Victim, images: Tensor, labels: Tensor, keys: Tensor, preset: AttackPreset, known: Tensor | None
    ) -> Tensor:
        del labels, preset, known
        bound = victim.threat_model
        return draw_starts(_random.fold(keys, SUITE), images, bound.eps, bound.metric)

    return Attack(name, about, run, gradients=False, preset=False, least_classes=1, norms=tuple(NORMS))


def _pgd(steps: int, *, targeted: bool) -> Attack:
    path = Path(targeted)

    def run(
        victim: Victim, images: Tensor, labels: Tensor, keys: Tensor, preset: AttackPreset, known: Tensor | None
    ) -> Tensor:
        del preset, known
        return path.run(victim, images, labels, keys, [steps])[steps]

    name, about = pgd_line(str(steps), targeted=targeted)
    return Attack(name, about, run, targeted=targeted, preset=False, path=path, steps=steps)


def pgd_line(steps: str, *, targeted: bool) -> tuple[str, str]:
    """The name and the help of PGD with so many steps."""
    suffix, where = ("-targeted", " towards a label drawn for each image") if targeted else ("", "")
    return f"pgd{steps}{suffix}", f"{steps} steps of torchattacks' PGD{where}, the last iterate"


def _along(name: str, about: str, made: Gradients) -> Attack:
    view = made.view
    return Attack(
        name,
        about,
        made.run,
        adaptive=view.adaptive,
        known=view.known,
        least_classes=made.runs.least_classes,
        fits=view.fits,
    )


def _asking(name: str, about: str, made: Queries) -> Attack:
    return Attack(name, about, made.run, adaptive=True, gradients=False)


_CE, _CW, _DLR, _T = (
    Restarts(losses.cross_entropy),
    Restarts(losses.margin),
    Restarts(losses.dlr, least_classes=3),
    TowardsClasses(),
)

_FINISH = 5
"""The small steps with which APGD towards classes ends."""

_BPDA = "gradients through the defence (BPDA), averaged over draws (EOT)"

_UNDER = "the defence's answers, with gradients of the network under it alone"

CURES = ("under-ce", "under-cw", "under-t", "around", "long")
"""Attacks for defences that others fail on for reasons that an audit finds: it adds those that it has a reason for."""

ATTACKS: dict[str, Attack] = {
    attack.name: attack
    for attack in (
        _clean(),
        _noise("noise", "uniform noise within the bounds"),
        _along("apgd-ce", "APGD on the cross-entropy", Gradients(UNDEFENDED, _CE)),
        _along("apgd-dlr", "APGD on the DLR loss", Gradients(UNDEFENDED, _DLR)),
        _along(
            "apgd-t",
            "APGD towards the likeliest other classes, and small steps up the margin at the end",
            Gradients(UNDEFENDED, _T, finish=_FINISH),
        ),
        _along("bpda-pgd", f"PGD on the cross-entropy: {_BPDA}", Gradients(DEFENDED, _CE, by_pgd)),
        _along("bpda-pgd-cw", "the same on the margin", Gradients(DEFENDED, _CW, by_pgd)),
        _along("bpda-pgd-dlr", "the same on the DLR loss", Gradients(DEFENDED, _DLR, by_pgd)),
        _along("bpda-pgd-t", "the same towards the likeliest other classes", Gradients(DEFENDED, _T, by_pgd)),
        _along("bpda-apgd-ce", f"APGD on the cross-entropy: {_BPDA}", Gradients(DEFENDED, _CE)),
        _along("bpda-apgd-cw", "the same on the margin", Gradients(DEFENDED, _CW)),
        _along("bpda-apgd-dlr", "the same on the DLR loss", Gradients(DEFENDED, _DLR)),
        _along("bpda-apgd-t", "the same towards the likeliest other classes", Gradients(DEFENDED, _T, finish=_FINISH)),
        _along(
            "bpda-apgd-losses",
            "the same on the mean of the draws' cross-entropies, not that of their averaged output",
            Gradients(DEFENDED, _CE, average="losses"),
        ),
        _along(
            "bpda-pgd-losses",
            "PGD on that mean, whose steps do not halve on noise",
            Gradients(DEFENDED, _CE, by_pgd, average="losses"),
        ),
        _along("smooth", "APGD on the margin, where signs are differentiated as a steep tanh", Gradients(SMOOTH, _CW)),
        _along("fixed", "APGD on the margin, told the very draws that will judge it", Gradients(JUDGED, _CW)),
        _along(
            "joint",
            "APGD against the undefended network, the defended one and the one whose defence acts the other way round",
            Gradients(JOINT, _CE),
        ),
        _along("cheap", "APGD on the margin of few executions; all of them judge it", Gradients(CHEAP, _CW)),
        _along("under-ce", f"APGD on the cross-entropy: {_UNDER}", Gradients(UNDER, _CE)),
        _along("under-cw", "the same on the margin", Gradients(UNDER, _CW)),
        _along("under-t", "the same towards the likeliest other classes", Gradients(UNDER, _T, finish=_FINISH)),
        _along(
            "around",
            "APGD on the margin: gradients through the defence, averaged over a neighbourhood of each point",
            Gradients(AROUND, _CW),
        ),
        _along(
            "long",
            "APGD on the margin: gradients through the defence, with four times the preset's steps",
            Gradients(DEFENDED, _CW, times=4),
        ),
        _asking("square", "Square: no gradients, scores alone", Queries(by_squares, losses.margin)),
        _asking("decision", "RayS: no gradients, labels alone", Queries(by_rays, losses.wrong, average="losses")),
    )
}
"""The attacks by name, beside `pgdK` and `pgdK-targeted`, which there are for any number of steps."""

_PGD = re.compile(r"pgd([1-9][0-9]{0,5})(-targeted)?")


def find_own(name: str) -> Attack | None:
    """Returns one of this package's attacks, or None."""
    match = _PGD.fullmatch(name)
    return _pgd(int(match[1]), targeted=match[2] is not None) if match else ATTACKS.get(name)


def attack_names() -> list[str]:
    """The names of all attacks, of PGD's those with the paper's numbers of steps."""
    steps = [f"pgd{count}{suffix}" for count in (10, 50, 200) for suffix in ("", "-targeted")]
    others = [name for name in ATTACKS if name != CLEAN]
    return [CLEAN, *steps, *others]
