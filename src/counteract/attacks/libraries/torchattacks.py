"""torchattacks by name: `torchattacks:CW(c=1, steps=50)`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from typing import Any

import torch
import torchattacks
from torch import nn

from counteract._errors import unknown_name
from counteract._signatures import signature_of
from counteract.attacks.libraries.arguments import (
    Parameters,
    bounded_in,
    check_arguments,
    first_sentence,
    fitted,
)
from counteract.attacks.libraries.foreign import Crafting, Recipe, Situation
from counteract.attacks.libraries.names import Spelled
from counteract.attacks.norms import Name

_OWN = ("model",)
"""The parameters that are not the user's to give."""

_L2 = ("PGDL2", "PGDRSL2")
"""The attacks whose bound is measured in L2; that of all others in the max norm, or in a norm that is an argument."""

_L1 = ("FAB",)
"""The attacks of which the norm is an argument that may be L1; that of others is the max norm or L2."""

_WITHOUT_GRADIENTS = ("VANILA", "GN", "SPSA", "OnePixel", "Pixle", "Square")
"""The attacks that ask for scores alone, or for nothing."""

_CLASSES = {"APGDT": 4, "AutoAttack": 4}
"""The number of classes that an attack's loss needs, where it is more than two."""


def names() -> list[str]:
    """Returns the names of the attacks that torchattacks exports, without its wrappers of others."""
    return [name for name in torchattacks.__all__ if name not in torchattacks.__wrapper__]


def find(spelled: Spelled) -> Recipe:
    """Returns the way to make one of torchattacks' attacks.

    Raises:
        UserError: (a ValueError) it has no such attack, or that takes no such arguments.
    """
    if spelled.name not in names():
        raise unknown_name("attack", spelled.place, [f"torchattacks:{name}" for name in names()])
    kind = getattr(torchattacks, spelled.name)
    check_arguments(spelled, signature_of(kind), _OWN)
    return Recipe(
        help=first_sentence(kind),
        make=partial(_make, kind),
        gradients=spelled.name not in _WITHOUT_GRADIENTS,
        targets="targeted" in kind(nn.LayerNorm(1)).supported_mode,
        bounded=bounded_in(signature_of(kind), _known(kind.__name__, signature_of(kind)), _measured(kind.__name__)),
        least_classes=_CLASSES.get(spelled.name, 2),
        origin=f"torchattacks {version('torchattacks')}",
    )


def _make(kind: type[torchattacks.attack.Attack], situation: Situation, arguments: Mapping[str, Any]) -> Crafting:
    parameters, name, norm = signature_of(kind), kind.__name__, situation.threat_model.norm
    taken = norm if norm in _known(name, parameters) else None
    given = fitted(parameters, arguments, situation.threat_model, norm=taken, measured=_measured(name))
    if "n_classes" in parameters:  # of which all but one are targets
        given.setdefault("n_classes", min(parameters["n_classes"].default, situation.num_classes))
    if "seed" in parameters:  # by default the same in each call, or the time
        given.setdefault("seed", int(torch.randint(2**31, ())))
    attack = kind(situation.network, **given)
    attack.set_device(situation.device)
    if situation.targeted:
        attack.set_mode_targeted_by_label(quiet=True)
    crafting: Crafting = attack
    return crafting


def _known(name: str, parameters: Parameters) -> tuple[Name, ...]:
    """Returns the norms that an attack takes as an argument."""
    if "norm" not in parameters:
        return ()
    return ("Linf", "L2", "L1") if name in _L1 else ("Linf", "L2")


def _measured(name: str) -> Name:
    """Returns the norm in which the bound of an attack is measured that takes none as an argument."""
    return "L2" if name in _L2 else "Linf"
