"""Inference-time adversarial defences as ART plugins, and an evaluation that tells the truth about them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from counteract.attacks.api import attack
    from counteract.attacks.registry import register_attack
    from counteract.auditing import audit
    from counteract.classifier import DefendedClassifier
    from counteract.defences import register_defence
    from counteract.defended import DefendedModule
    from counteract.evaluation import evaluate
    from counteract.models import from_art, load_model
    from counteract.preprocessors import (
        AntiAdversary,
        AugmentationEnsemble,
        Counteraction,
        EnergyDescent,
        GaussianNoise,
        Hedge,
        MixupInference,
        RandomCropPad,
        RandomCropResize,
        RandomResizePad,
        RandomRotation,
        TestTimeCounterattack,
        TotalVariation,
    )

__version__ = "0.2.0"

__all__ = [
    "AntiAdversary",
    "AugmentationEnsemble",
    "Counteraction",
    "DefendedClassifier",
    "DefendedModule",
    "EnergyDescent",
    "GaussianNoise",
    "Hedge",
    "MixupInference",
    "RandomCropPad",
    "RandomCropResize",
    "RandomResizePad",
    "RandomRotation",
    "TestTimeCounterattack",
    "TotalVariation",
    "attack",
    "audit",
    "evaluate",
    "from_art",
    "load_model",
    "register_attack",
    "register_defence",
]

_HOMES = {
    "DefendedClassifier": "classifier",
    "DefendedModule": "defended",
    "attack": "attacks.api",
    "audit": "auditing",
    "evaluate": "evaluation",
    "from_art": "models",
    "load_model": "models",
    "register_attack": "attacks.registry",
    "register_defence": "defences",
}
"""The modules of public names; the others are defences, in `preprocessors`. No name may be that of a module."""


def __getattr__(name: str) -> Any:
    """Imports a public name on first use, so that importing the package costs next to nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'preprocessors')}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
