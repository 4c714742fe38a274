"""Attack presets: how hard attacks try, as data, and any field changed."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from pydantic import model_validator

from counteract._errors import unknown_name
from counteract._precision import Precision
from counteract._toml import read_toml
from counteract._values import Count, Strict

DEFAULT = "standard"
"""The preset of whoever names none."""


class AttackPreset(Strict):
    """The effort of attacks.

    It is made from a preset's name, `quick`, `standard` or `full`, or from fields and, under `preset`, the name of the
    one they differ from, which is `standard` where none is named.

    Attributes:
        steps: Gradient steps of a run.
        restarts: Runs from other starting points.
        targets: Other classes that multi-targeted attacks run towards, the likeliest first.
        target_steps: Gradient steps of each of these runs; as many as `steps` where that alone is changed.
        draws: Draws that a loss and its gradient are averaged over (EOT); one for a network that draws nothing.
        executions: Of a defence that averages many executions, those that an attack computes in each of these draws.
        cheap: Those that the cheap surrogate computes.
        queries: Questions of the attacks without gradients.
        precision: The precision of the defended network while it is attacked, `float32` or `bf16`; it is judged in its
            own.
    """

    steps: Count
    restarts: Count
    targets: Count
    target_steps: Count
    draws: Count
    executions: Count
    cheap: Count
    queries: Count
    precision: Precision

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {"preset": value}
        if not isinstance(value, dict) or set(value) >= set(cls.model_fields):
            return value
        changes = dict(value)
        name = changes.pop("preset", DEFAULT)
        if not isinstance(name, str):
            raise ValueError("preset must be the name of a preset")
        if "steps" in changes:
            changes.setdefault("target_steps", changes["steps"])
        return preset_fields(name) | changes


def preset_fields(name: str) -> dict[str, Any]:
    """The fields of a preset.

    Raises:
        UserError: (a ValueError) there is none of this name.
    """
    presets = _presets()
    if name not in presets:
        raise unknown_name("preset", name, presets)
    found: dict[str, Any] = presets[name]
    return found


def _presets() -> dict[str, Any]:
    return read_toml(files("counteract.attacks") / "presets.toml", "the attacks' presets")
