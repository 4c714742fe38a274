"""Networks: CIFAR ResNets, the shipped weights, libraries' networks. All take [0, 1] and normalise inside."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from counteract.models.checks import LogProbabilities, check_network
from counteract.models.factory import from_art
from counteract.models.normalize import Normalize
from counteract.models.prepared import PreparedNetwork
from counteract.models.resnet import ARCHITECTURES, ResNet, resnet8, resnet18, resnet50, resnet50_pang

if TYPE_CHECKING:
    from counteract.models.files import Card, load_network, read_card, save_network
    from counteract.models.libraries import is_library
    from counteract.models.loading import card_of, is_clip, is_factory, known_models, load_model, shipped_models

__all__ = [
    "ARCHITECTURES",
    "Card",
    "LogProbabilities",
    "Normalize",
    "PreparedNetwork",
    "ResNet",
    "card_of",
    "check_network",
    "from_art",
    "is_clip",
    "is_factory",
    "is_library",
    "known_models",
    "load_model",
    "load_network",
    "read_card",
    "resnet8",
    "resnet18",
    "resnet50",
    "resnet50_pang",
    "save_network",
    "shipped_models",
]

_LATER = {
    "Card": "files",
    "card_of": "loading",
    "is_clip": "loading",
    "is_factory": "loading",
    "is_library": "libraries",
    "known_models": "loading",
    "load_model": "loading",
    "load_network": "files",
    "read_card": "files",
    "save_network": "files",
    "shipped_models": "loading",
}
"""The modules of names that are imported on first use: they need an extra, and the others do without."""


def __getattr__(name: str) -> Any:
    """Imports a name on first use."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
