"""Specs as they were written before, in today's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ATTACKS = {"none": "clean", "null": "clean"}
_DEFENCES = {"none": "undefended"}


def upgrade_attack(name: str) -> str:
    """Returns today's name of an attack: `clean` for `none` and `null`."""
    return _ATTACKS.get(name, name)


def upgrade_defence(name: str) -> str:
    """Returns today's name of a defence: `undefended` for `none`."""
    return _DEFENCES.get(name, name)


def upgrade_spec(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a spec's data in today's words; what has them already, or has words of neither, stays as it is.

    It is about the data of one file: of a spec that extends another, both are upgraded before they are joined. An
    `[attack]` table stands for the threat model, the step and the label, with the defaults that it had, because it
    replaced that of the spec that it extended.
    """
    found = dict(data)
    for key, words in (("attacks", _ATTACKS), ("defences", _DEFENCES)):
        if isinstance(names := found.get(key), (list, tuple)):
            found[key] = [words.get(name, name) if isinstance(name, str) else name for name in names]
    attack = found.get("attack")
    if isinstance(attack, Mapping) and not found.keys() & {"threat_model", "eps_step", "attack_label"}:
        table = {"eps": 8 / 255, "eps_step": 2 / 255, "attack_label": "true"} | dict(found.pop("attack"))
        found["eps_step"], found["attack_label"] = table.pop("eps_step"), table.pop("attack_label")
        found["threat_model"] = table
    if "budget" in found and "preset" not in found:
        found["preset"] = found.pop("budget")
    found.pop("error", None)
    return found
