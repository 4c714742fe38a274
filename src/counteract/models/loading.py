"""`load_model`: from a name to a network in eval mode that takes [0, 1]."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from torch import nn

from counteract._errors import unknown_name
from counteract.models.files import Card, load_network, read_card

_WEIGHTS = files("counteract.models") / "weights"


def shipped_models() -> list[str]:
    """The names of the networks that come with the package."""
    return sorted(
        item.name.removesuffix(".safetensors") for item in _WEIGHTS.iterdir() if item.name.endswith(".safetensors")
    )


def shipped_card(name: str) -> Card:
    """What a shipped network's file says about itself."""
    with as_file(_WEIGHTS / f"{name}.safetensors") as path:
        return read_card(path)


def load_model(name: str) -> nn.Module:
    """Loads a network in eval mode, on the CPU; it maps images in [0, 1] to logits.

    Args:
        name: A shipped network's name, or the path of a .safetensors file that `counteract train` wrote.

    Raises:
        UserError: (a ValueError) the name is unknown, or the file cannot be used.
    """
    if name.endswith(".safetensors"):
        return load_network(Path(name))
    known = shipped_models()
    if name not in known:
        raise unknown_name("model", name, known, "a path ending in .safetensors")
    with as_file(_WEIGHTS / f"{name}.safetensors") as path:
        return load_network(path)
