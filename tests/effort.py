"""The least effort of attacks, for tests of what does not depend on it."""

from __future__ import annotations

from typing import Any

import pytest

from counteract.attacks import preset

TINY: dict[str, Any] = {
    "steps": 5, "restarts": 1, "targets": 1, "target_steps": 5, "draws": 1, "executions": 2, "cheap": 1, "queries": 4,
    "precision": "float32",
}  # fmt: skip


def make_presets_tiny(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Lets every preset be tiny whose name is known."""
    names = preset.preset_fields

    def tiny(name: str) -> dict[str, Any]:
        names(name)
        return TINY | changes

    monkeypatch.setattr(preset, "preset_fields", tiny)
