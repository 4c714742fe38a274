"""How hard attacks try: presets as data, and any field changed."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from counteract._errors import unknown_name
from counteract._precision import Precision
from counteract._toml import read_toml

_Count = Annotated[int, Field(ge=1)]

DEFAULT = "standard"
"""The preset of whoever names none."""


class Budget(BaseModel):
    """What attacks run with; `budgets.toml` says what each field means.

    It is made from a preset's name, or from fields and, under `preset`, the name of what they differ from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: _Count
    restarts: _Count
    targets: _Count
    draws: _Count
    executions: _Count
    cheap: _Count
    queries: _Count
    precision: Precision

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {"preset": value}
        if not isinstance(value, dict) or set(value) >= set(cls.model_fields):
            return value
        changes = dict(value)
        return preset(changes.pop("preset", DEFAULT)) | changes


def preset(name: str) -> dict[str, Any]:
    """The fields of a preset.

    Raises:
        UserError: (a ValueError) there is none of this name.
    """
    presets = read_toml(files("counteract.attacks") / "budgets.toml", "the attacks' budgets")
    if name not in presets:
        raise unknown_name("budget", name, presets)
    found: dict[str, Any] = presets[name]
    return found
