"""ART's evasion attacks by name: `art:HopSkipJump(max_iter=10)`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from torch.nn import CrossEntropyLoss
from torch.nn.functional import one_hot

from counteract._errors import UserError, unknown_name
from counteract._signatures import signature_of
from counteract.attacks.libraries.arguments import (
    Parameters,
    bounded_in,
    check_arguments,
    first_sentence,
    fitted,
)
from counteract.attacks.libraries.foreign import Crafting, Recipe, Situation
from counteract.attacks.libraries.names import TARGETED, Spelled
from counteract.attacks.norms import NORMS, Name

if TYPE_CHECKING:
    from art.attacks.attack import EvasionAttack
    from art.estimators.classification import PyTorchClassifier

_OWN = ("estimator", "classifier", "targeted", "verbose", "summary_writer")
"""The parameters that are not the user's to give; the suffix of a name says if an attack is targeted."""

_NORMS: dict[Name, object] = {"Linf": math.inf, "L2": 2, "L1": 1}
"""ART's words for norms."""

_WITHOUT_L1 = ("HopSkipJump", "SquareAttack")
"""The attacks whose argument for the norm cannot be L1; `SquareAttack` would return the images as they are."""

_OTHER_BOUNDS = {"Wasserstein": "wasserstein", "VirtualAdversarialMethod": "L2"}
"""The attacks whose bound is measured in one norm that is not the max norm, whatever norm they have as an argument."""

_WITHOUT_GRADIENTS = (
    "BoundaryAttack", "GeoDA", "HopSkipJump", "PixelAttack", "SignOPTAttack", "SimBA", "SpatialTransformation",
    "SquareAttack", "ThresholdAttack", "VirtualAdversarialMethod", "ZooAttack",
)  # fmt: skip
"""The attacks that ask for scores or labels alone."""

_OF_PROBABILITIES = ("SimBA", "VirtualAdversarialMethod")
"""The attacks that must be answered with probabilities."""

_TARGETS = ("SaliencyMapMethod", "TargetedUniversalPerturbation")
"""The attacks without an argument `targeted` that take labels for those to be reached."""

_FROM_IMAGES = ("SignOPTAttack",)
"""The attacks whose targeted mode begins at images of the targets, which a name cannot hold."""

_TARGETED_ALONE = ("TargetedUniversalPerturbation",)
"""Those among them that do not choose such labels by themselves."""

_OWN_GENERATORS = ("BoundaryAttack", "BrendelBethgeAttack", "HopSkipJump")
"""The attacks that draw from generators of their own, which nobody seeds."""

_ONE_BY_ONE = ("ShadowAttack",)
"""The attacks that take a single image."""

_DETECTORS, _SPEECH = "it attacks object detectors", "it attacks speech recognition"
_PATCH, _VIDEO = "it returns a patch and not images", "it attacks videos"
_TENSORFLOW, _GUIDES = "it is for TensorFlow", "it moves towards other images, which a name cannot hold"

UNUSABLE = {
    "AdversarialPatch": _PATCH,
    "AdversarialPatchNumpy": _PATCH,
    "AdversarialPatchPyTorch": _PATCH,
    "AdversarialPatchTensorFlowV2": _TENSORFLOW,
    "AdversarialTexturePyTorch": _VIDEO,
    "CarliniWagnerASR": _SPEECH,
    "DPatch": _DETECTORS,
    "DecisionTreeAttack": "it attacks decision trees",
    "FeatureAdversariesNumpy": _GUIDES,
    "FeatureAdversariesPyTorch": _GUIDES,
    "FeatureAdversariesTensorFlowV2": _TENSORFLOW,
    "FrameSaliencyAttack": _VIDEO,
    "GRAPHITEBlackbox": _GUIDES,
    "GRAPHITEWhiteboxPyTorch": _GUIDES,
    "HighConfidenceLowUncertainty": "it attacks Gaussian processes",
    "ImperceptibleASR": _SPEECH,
    "ImperceptibleASRPyTorch": _SPEECH,
    "LaserAttack": "it needs generators of lasers and images, which a name cannot hold",
    "LowProFool": "it attacks tables of numbers",
    "MalwareGDTensorFlow": _TENSORFLOW,
    "OverTheAirFlickeringPyTorch": _VIDEO,
    "OverloadPyTorch": _DETECTORS,
    "ProjectedGradientDescentTensorFlowV2": _TENSORFLOW,
    "RobustDPatch": _DETECTORS,
    "SNAL": _DETECTORS,
}
"""The attacks that cannot be used here, and why."""


def names() -> list[str]:
    """Returns the names of ART's evasion attacks that can be used here."""
    return [name for name in _exported() if name not in UNUSABLE]


def find(spelled: Spelled) -> Recipe:
    """Returns the way to make one of ART's evasion attacks.

    Raises:
        UserError: (a ValueError) it has no such attack, or that cannot be used, or takes no such arguments.
    """
    name, exported = spelled.name, _exported()
    if name not in exported:
        raise unknown_name("attack", spelled.place, [f"art:{each}" for each in names()])
    if name in UNUSABLE:
        raise UserError(f"attack {spelled.short} cannot be used here: {UNUSABLE[name]}")
    kind = exported[name]
    parameters = signature_of(kind)
    check_arguments(spelled, parameters, _OWN)
    return Recipe(
        help=first_sentence(kind),
        make=partial(_make, kind),
        gradients=name not in _WITHOUT_GRADIENTS,
        targets=("targeted" in parameters or name in _TARGETS) and name not in _FROM_IMAGES,
        bounded=bounded_in(parameters, _known(name, parameters), _OTHER_BOUNDS.get(name, "Linf")),
        least_classes=2,
        logger="art",
        origin=f"adversarial-robustness-toolbox {version('adversarial-robustness-toolbox')}",
    )


def _exported() -> dict[str, type[EvasionAttack]]:
    """Returns ART's evasion attacks by name."""
    from art.attacks import evasion
    from art.attacks.attack import EvasionAttack

    found = {name: each for name, each in sorted(vars(evasion).items()) if isinstance(each, type)}
    return {name: each for name, each in found.items() if issubclass(each, EvasionAttack)}


def _make(kind: type[EvasionAttack], situation: Situation, arguments: Mapping[str, Any]) -> Crafting:
    name, parameters, norm = kind.__name__, signature_of(kind), situation.threat_model.norm
    if name in _TARGETED_ALONE and not situation.targeted:
        raise UserError(f"it has a targeted mode alone: write art:{name}{TARGETED}")
    given = fitted(
        parameters,
        arguments,
        situation.threat_model,
        norm=_NORMS[norm] if norm in _known(name, parameters) else None,
        measured=_OTHER_BOUNDS.get(name, "Linf"),
    )
    own = {"verbose": False, "targeted": situation.targeted}
    given |= {key: value for key, value in own.items() if key in parameters}
    with _on(situation.device):
        attack = kind(_classifier(situation, probabilities=name in _OF_PROBABILITIES), **given)
    told = name not in _TARGETS or situation.targeted

    def craft(images: Tensor, labels: Tensor) -> Tensor:
        pixels = images.float().cpu().numpy()
        aims = one_hot(labels, situation.num_classes).float().cpu().numpy() if told else None
        rows = [slice(k, k + 1) for k in range(len(pixels))] if name in _ONE_BY_ONE else [slice(None)]
        with _on(situation.device), _repeatable() if name in _OWN_GENERATORS else nullcontext():
            parts = [attack.generate(pixels[row], None if aims is None else aims[row]) for row in rows]
        return torch.from_numpy(np.concatenate(parts))

    return craft


def _known(name: str, parameters: Parameters) -> tuple[Name, ...]:
    """Returns the norms that an attack takes as an argument."""
    if "norm" not in parameters or name in _OTHER_BOUNDS:
        return ()
    return tuple(norm for norm in NORMS if norm != "L1" or name not in _WITHOUT_L1)


def _classifier(situation: Situation, *, probabilities: bool) -> PyTorchClassifier:
    """Returns the network as ART's classifier."""
    from art.estimators.classification import PyTorchClassifier

    situation.network.probabilities = probabilities
    return PyTorchClassifier(
        situation.network,
        loss=CrossEntropyLoss(),
        input_shape=situation.shape,
        nb_classes=situation.num_classes,
        clip_values=(0.0, 1.0),
        device_type="cpu" if situation.device.type == "cpu" else "gpu",
    )


class _Seeded(np.random.RandomState):
    """A generator that is seeded by the global one where nobody seeds it."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(np.random.randint(2**31) if seed is None else seed)


def _repeatable() -> AbstractContextManager[object]:
    """Lets generators that nobody seeds follow the global one."""
    return mock.patch.object(np.random, "RandomState", _Seeded)


def _on(device: torch.device) -> AbstractContextManager[object]:
    """Makes a GPU the current one, which is the one that ART computes on."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
