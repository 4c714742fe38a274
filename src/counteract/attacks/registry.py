"""The registry of attacks: from a name to a function that attacks a batch, and what is to be known of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor, nn

from counteract import _random
from counteract._arguments import check_count, check_flag, check_text
from counteract._errors import UserError, unknown_name
from counteract.attacks import losses
from counteract.attacks.gradients import SUITE, Gradients, Restarts, TowardsClasses, by_pgd
from counteract.attacks.kept import PREFIX as FILE
from counteract.attacks.kept import Kept
from counteract.attacks.libraries import Foreign, find_foreign, foreign_lines, foreign_names, namesakes
from counteract.attacks.libraries.arguments import first_sentence
from counteract.attacks.libraries.autoattack import VERSIONS
from counteract.attacks.libraries.names import TARGETED, read_name
from counteract.attacks.libraries.registered import REGISTERED, Factory, Registered
from counteract.attacks.norms import CLIMBED, NORMS, Name, climbs_in
from counteract.attacks.pgd import Path, draw_starts
from counteract.attacks.preset import AttackPreset
from counteract.attacks.queries import Queries, by_rays, by_squares
from counteract.attacks.threat_model import ThreatModel
from counteract.attacks.victim import Victim
from counteract.attacks.views import (
    AROUND,
    CHEAP,
    DEFENDED,
    JOINT,
    JUDGED,
    SMOOTH,
    UNDEFENDED,
    UNDER,
    no_obstacle,
)
from counteract.whole import Defended

CLEAN = "clean"
"""The attack that leaves the images as they are; `none` and `null` are read as it."""

Run = Callable[[Victim, Tensor, Tensor, Tensor, AttackPreset, Tensor | None], Tensor]
"""The function that attacks a batch: from a victim, clean images in [0, 1], labels (int64, shape (N,)), the attacker's
key of each image (likewise), the effort, and the keys of the draws that will judge, shape (N, K), for an attack that
knows them, to images within the bounds; those of somebody else's attack may lie outside of the threat model."""

Check = Callable[[nn.Module, ThreatModel, int, Tensor], None]
"""The check that an attack can be made: from the undefended network, the threat model, the number of classes and a few
images; it raises UserError where it cannot."""


def _no_check(network: nn.Module, threat_model: ThreatModel, num_classes: int, images: Tensor) -> None:
    """Returns: this attack can be made of every network."""


@dataclass(frozen=True)
class Attack:
    """An attack.

    Attributes:
        name: Its name.
        help: One line about it.
        run: Attacks a batch.
        adaptive: True if it knows of the defence: then its examples are made for each defence anew.
        gradients: True if it uses gradients.
        targeted: True if it moves towards other labels, for which the paper's tables have settings of their own.
        known: True if it is told the draws that judge.
        preset: True if it depends on the preset.
        least_classes: The number of classes that it needs.
        norms: The norms that it knows.
        path: The runs of PGD, of which this is a snapshot.
        steps: The number of steps after which it is taken.
        fits: The reason why it cannot be made on a defended network, or None.
        unkeyed: True if it draws from global generators, which it seeds by the first image's key: its draws follow the
            batch, which must not depend on the batch size.
        origin: The code or the version that its results depend on; None for this package's own.
        check: Makes sure that it can be made.
    """

    name: str
    help: str
    run: Run = field(compare=False, repr=False)
    adaptive: bool = False
    gradients: bool = True
    targeted: bool = False
    known: bool = False
    preset: bool = True
    least_classes: int = 2
    norms: tuple[Name, ...] = CLIMBED
    path: Path | None = None
    steps: int = 0
    fits: Callable[[Defended], str | None] = field(default=no_obstacle, compare=False, repr=False)
    unkeyed: bool = False
    origin: object = field(default=None, compare=False, repr=False)
    check: Check = field(default=_no_check, compare=False, repr=False)


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

    name, about = _pgd_line(str(steps), targeted=targeted)
    return Attack(name, about, run, targeted=targeted, preset=False, path=path, steps=steps)


def _pgd_line(steps: str, *, targeted: bool) -> tuple[str, str]:
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

_EITHER = "oblivious, or adaptive with @defended"
"""The kind of somebody else's attack."""

_FILES = "adversarial examples that --save-examples kept in a folder"
"""The line about examples in a folder."""

_READ_AS_CLEAN = ("none", "null")

_OTHERS = "any other number of steps, torchattacks:NAME, art:NAME"
"""The other names that are known."""


def find_attack(name: str) -> Attack:
    """Finds an attack by its name.

    Raises:
        UserError: (a ValueError) there is none of this name, or it takes no such arguments.
    """
    name = check_text("attack", name, "a name")
    name = CLEAN if name in _READ_AS_CLEAN else name
    if (own := _find_own(name)) is not None:
        return own
    if name.startswith(FILE):
        return _kept(Kept(name))
    if (foreign := find_foreign(name)) is not None:
        return _foreign(foreign)
    spelled = read_name(name)
    if name != spelled.place and _find_own(spelled.place) is not None:
        raise UserError(
            f"attack {name}: {spelled.place} is this package's own and takes no arguments, suffixes or @defended; "
            "attacks through the defence are named bpda-..."
        )
    known = [*attack_names(), *foreign_names()]
    raise unknown_name("attack", name, known, _OTHERS, namesakes=namesakes(spelled.name))


def recorded_attack(name: str) -> Attack:
    """Finds an attack of a finished run, to be reported; one that is not known here says no more than its name does.

    It may have been registered by the program that made the run, or be of a library that is not installed here.

    Raises:
        UserError: (a ValueError) it is no name of an attack.
    """
    try:
        return find_attack(name)
    except UserError:
        spelled = read_name(name)
        return Attack(
            name,
            "an attack of the program that made this run, which is not known here",
            _not_here,
            adaptive=spelled.defended,
            targeted=spelled.targeted,
            preset=False,
            unkeyed=True,
        )


def _not_here(
    victim: Victim, images: Tensor, labels: Tensor, keys: Tensor, preset: AttackPreset, known: Tensor | None
) -> Tensor:
    raise NotImplementedError("an attack that is known by its records alone makes no examples")


def _find_own(name: str) -> Attack | None:
    """Returns one of this package's attacks, or None."""
    match = _PGD.fullmatch(name)
    return _pgd(int(match[1]), targeted=match[2] is not None) if match else ATTACKS.get(name)


def _kept(found: Kept) -> Attack:
    """Returns examples that somebody made before."""
    return Attack(
        found.name,
        _FILES,
        found.run,
        adaptive=found.defended,
        gradients=False,
        norms=tuple(NORMS),
        preset=False,
        least_classes=1,
        origin=found.origin,
        check=found.check,
    )


def _foreign(found: Foreign) -> Attack:
    """Returns somebody else's attack."""
    spelled, recipe = found.spelled, found.recipe
    return Attack(
        spelled.text,
        recipe.help,
        found.run,
        adaptive=spelled.defended,
        gradients=recipe.gradients,
        targeted=spelled.targeted,
        preset=False,
        least_classes=recipe.least_classes,
        norms=tuple(NORMS),
        unkeyed=True,
        origin=recipe.origin,
        check=found.check,
    )


def register_attack(
    name: str, factory: Factory, *, about: str | None = None, gradients: bool = True, least_classes: int = 2
) -> None:
    """Registers an attack, which goes then by its name wherever attacks do: `mine`, `mine(steps=5)@defended`.

    Packages do the same with entry points in the group `counteract.attacks`, which name the factory.

    Args:
        name: Its name: letters, digits, `-`, `_` and `.`, without `-targeted` at its end.
        factory: Makes the attack: it is called with the network, a torch module from images in [0, 1] to logits, and
            returns a function from images and labels to adversarial images. Of the arguments `eps` (and `alpha`,
            `eps_step`), `norm`, `num_classes` and `targeted` it is passed those that it has; others are the user's.
        about: One line about it; None for the first sentence of the factory's documentation.
        gradients: False if it asks for scores or labels alone.
        least_classes: The number of classes that it needs.

    Raises:
        UserError: (a ValueError) the name is taken by an attack of this package or cannot be one, the factory cannot be
            called, or another argument is of another kind.

    Examples:
        >>> import torchattacks
        >>> from counteract import register_attack
        >>> register_attack("momentum", torchattacks.MIFGSM, about="PGD with momentum")
    """
    name = check_text("name", name, "a text")
    plain = bool(re.fullmatch(r"[\w][\w.-]*", name)) and not name.endswith(TARGETED)
    if not plain or _find_own(name) is not None or name in (*_READ_AS_CLEAN, *VERSIONS):
        raise UserError(f"name {name!r} is taken, or is none for an attack; choose letters, digits, '-', '_' and '.'")
    if not callable(factory):
        raise UserError(f"factory must be a function or a class that makes an attack, found {type(factory).__name__}")
    line = first_sentence(factory) if about is None else check_text("about", about, "a text")
    gradients, least_classes = check_flag("gradients", gradients), check_count("least_classes", least_classes)
    REGISTERED[name] = Registered(factory, line, gradients, least_classes)


def attack_names() -> list[str]:
    """The names of all attacks, of PGD's those with the paper's numbers of steps."""
    steps = [f"pgd{count}{suffix}" for count in (10, 50, 200) for suffix in ("", "-targeted")]
    others = [name for name in ATTACKS if name != CLEAN]
    return [CLEAN, *steps, *others]


def attack_lines() -> list[tuple[str, str]]:
    """Each attack's name and one line about it, PGD's with K for the number of steps; for lists."""
    pgd = [(name, f"oblivious: {about}") for name, about in (_pgd_line("K", targeted=t) for t in (False, True))]
    clean, *others = ATTACKS.values()
    kinds = ("oblivious", "adaptive")
    own = [(clean.name, clean.help), *pgd, *((a.name, f"{kinds[a.adaptive]}: {a.help}") for a in others)]
    return [
        *own,
        *((name, f"{_EITHER}: {text}") for name, text in foreign_lines()),
        (f"{FILE}DIR", f"{_EITHER}: {_FILES}"),
    ]


def obstacle(
    attack: Attack,
    *,
    num_classes: int,
    gradients: bool = True,
    defended: Defended | None = None,
    norm: Name = "Linf",
) -> str | None:
    """The reason why an attack cannot run on a network, in words; None if it can.

    Args:
        attack: The attack.
        num_classes: The number of the network's classes.
        gradients: True if it has a useful gradient.
        defended: The network with its defence, for an attack that knows of it.
        norm: The norm of the threat model.
    """
    if norm not in attack.norms:
        return climbs_in(attack.norms)
    if num_classes < attack.least_classes:
        return f"it needs {attack.least_classes} classes, and the network has {num_classes}"
    if attack.gradients and not gradients:
        return "it needs gradients, and the network gives none that are of use"
    return attack.fits(defended) if attack.adaptive and defended is not None else None
