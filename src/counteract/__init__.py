"""Inference-time adversarial defences as ART plugins, and an evaluation that tells the truth about them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from counteract.models import load_model as load_model

_HOMES = {
    "load_model": "counteract.models",
}

__all__ = ["load_model"]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    """Imports a public name on first use, so that importing the package costs nothing."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
