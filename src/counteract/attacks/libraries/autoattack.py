"""AutoAttack by name, `autoattack` and `autoattack-rand`: the package that RobustBench uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor, nn

from counteract._extras import needing
from counteract._signatures import signature_of
from counteract.attacks.libraries.arguments import check_arguments, fitted
from counteract.attacks.libraries.foreign import Crafting, Recipe, Situation
from counteract.attacks.libraries.names import Spelled
from counteract.attacks.norms import NORMS

VERSIONS = {"autoattack": "standard", "autoattack-rand": "rand"}
"""The names, and the versions of AutoAttack that they mean."""

_LINES = {
    "autoattack": "APGD, targeted APGD, targeted FAB and Square one after the other, on what is left",
    "autoattack-rand": "APGD on two losses with gradients averaged over 20 draws, for random networks",
}

_CLASSES = {"rand": 3, "custom": 2}
"""The number of classes that the losses of a version need; that of the others is four."""

_OWN = ("model", "device")
"""The parameters that are not the user's to give."""


def find(spelled: Spelled) -> Recipe:
    """Returns the way to make AutoAttack; the package need not be there.

    Raises:
        UserError: (a ValueError) it takes no such arguments.
    """
    named = VERSIONS[spelled.name]
    check_arguments(spelled, signature_of(_official), _OWN if named == "standard" else (*_OWN, "version"))
    chosen = spelled.arguments.get("version", named)
    return Recipe(
        help=_LINES[spelled.name],
        make=partial(_make, named),
        gradients=set(spelled.arguments.get("attacks_to_run", ())) != {"square"},
        targets=False,
        bounded=tuple(NORMS),
        least_classes=_CLASSES.get(chosen, 4),
        origin=_origin(),
        logger="auto-attack",
    )


def _make(named: str, situation: Situation, arguments: Mapping[str, Any]) -> Crafting:
    given = {"version": named, "seed": int(torch.randint(2**31, ()))} | dict(arguments)
    norm = situation.threat_model.norm
    settings = fitted(signature_of(_official), given, situation.threat_model, norm=norm, measured=norm)
    attack = _official(situation.network, situation.device, **settings)
    for part in (attack.apgd_targeted, attack.fab):  # nine by default
        part.n_target_classes = min(part.n_target_classes, situation.num_classes - 1)

    def craft(images: Tensor, labels: Tensor) -> object:
        return attack.run_standard_evaluation(images, labels, bs=len(images))

    return craft


def _official(
    model: nn.Module,
    device: torch.device,
    *,
    norm: str = "Linf",
    eps: float = 0.3,
    seed: int | None = None,
    version: str = "standard",
    attacks_to_run: Sequence[str] = (),
) -> Any:
    """Returns AutoAttack, silent.

    Raises:
        UserError: (a ValueError) the package is missing.
    """
    with needing("robustbench"):
        from counteract.robustbench.autoattack import AutoAttack
    return AutoAttack(
        model,
        norm=norm,
        eps=eps,
        seed=seed,
        verbose=False,
        attacks_to_run=attacks_to_run,
        version=version,
        device=device,
    )


def _origin() -> str:
    """Returns the package's version, if it is there."""
    try:
        return f"pyautoattack {version('pyautoattack')}"
    except PackageNotFoundError:
        return ""
