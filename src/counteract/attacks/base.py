"""`Attack`: a function that attacks a batch, and what is to be known of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor, nn

from counteract.attacks.norms import CLIMBED, Name, climbs_in
from counteract.attacks.pgd import Path
from counteract.attacks.preset import AttackPreset
from counteract.attacks.threat_model import ThreatModel
from counteract.attacks.victim import Victim
from counteract.attacks.views import no_obstacle
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
