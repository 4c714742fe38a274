"""Threat models that networks are published for: the default of whoever evaluates them and says nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from counteract._errors import UserError
from counteract._toml import validate
from counteract.attacks.base import CLEAN
from counteract.attacks.norms import NORMS
from counteract.attacks.threat_model import ThreatModel
from counteract.models.about import About, about

CORRUPTIONS = "corruptions"
"""The threat model of networks that meet no attacker but bad weather: it has neither norm nor eps."""

_PUBLISHING = "robustbench:"
"""The beginning of the names of networks that are published for a threat model."""


def published_threat(known: About) -> str:
    """Returns the threat model that a network is published for, in words; empty where there is none."""
    if known.norm not in NORMS or known.eps is None:
        return known.norm or ""
    return str(ThreatModel(norm=known.norm, eps=known.eps))


def of_published(models: object) -> dict[str, About]:
    """Returns the facts about those of a spec's networks that are published for a threat model, by their labels.

    Raises:
        UserError: (a ValueError) a name is none of the zoo's, or RobustBench is not installed.
    """
    named = models.items() if isinstance(models, Mapping) else ((name, name) for name in _listed(models))
    return {str(label): about(name) for label, name in named if isinstance(name, str) and name.startswith(_PUBLISHING)}


def _listed(models: object) -> list[Any]:
    return list(models) if isinstance(models, (list, tuple)) else []


def with_published(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a spec's data with the threat model that its networks are published for, as far as none is said.

    Raises:
        UserError: (a ValueError) they are published for several, or for corruptions, against which there is no attack.
    """
    said = data.get("threat_model", {})
    if not isinstance(said, Mapping) or {"norm", "eps"} <= said.keys():
        return dict(data)
    found = of_published(data.get("models"))
    known = {(each.norm, each.eps) for each in found.values()}
    if "norm" in said:
        known = {each for each in known if each[0] == said["norm"]}
    if len(known) > 1:
        raise UserError(_several(found))
    for norm, eps in known:
        if norm == CORRUPTIONS:
            _check_unattacked(data, next(iter(found)), said)
        else:
            said = {"norm": norm, **({} if eps is None else {"eps": eps}), **said}
    return {**data, **({"threat_model": dict(said)} if said else {})}


def with_default_threat(data: Mapping[str, Any], said: Mapping[str, Any], *, fixed: bool) -> dict[str, Any]:
    """Returns a spec's data without a bound that gives way to what the user says, or networks are published for.

    Where all of them are published for corruptions nobody expects an attack: unless a norm is said there is none.

    Args:
        data: The data of a spec, with the networks that the user named.
        said: The norm and the eps that the user named.
        fixed: True where the spec is the user's own, and no default.
    """
    models, default = data.get("models"), data.get("threat_model", {})
    if not isinstance(default, Mapping):
        return dict(data)
    published = {} if fixed or {"norm", "eps"} <= said.keys() else of_published(models)
    known = {(each.norm, each.eps) for each in published.values()}
    if said.get("norm", default.get("norm", "Linf")) != default.get("norm", "Linf") or known - {_pair(default)}:
        data = {key: value for key, value in data.items() if key not in ("threat_model", "eps_step")}
    corruptions = bool(known) and {norm for norm, _ in known} == {CORRUPTIONS} and len(published) == len(models or ())
    return {**data, "attacks": [CLEAN]} if corruptions and "norm" not in said else dict(data)


def _pair(threat_model: Mapping[str, Any]) -> tuple[str, float]:
    """Returns norm and eps of a table of a spec."""
    found = validate(ThreatModel, dict(threat_model), "threat_model")
    return found.norm, found.eps


def _several(found: Mapping[str, About]) -> str:
    threats = {published_threat(each): label for label, each in found.items()}
    named = ", ".join(f"{label} for {threat}" for threat, label in threats.items())
    return f"the networks are published for several threat models ({named[:160]}): name one with norm and eps"


def _check_unattacked(data: Mapping[str, Any], label: str, said: Mapping[str, Any]) -> None:
    """Raises UserError where a network for corruptions would be attacked within a bound that nobody named."""
    attacks = data.get("attacks", ())
    if "norm" not in said and set(attacks if isinstance(attacks, (list, tuple)) else ()) - {CLEAN, "none"}:
        raise UserError(
            f"model {label[:80]} is published for corruptions, not for an attacker: name a norm and an eps, or measure "
            "it with the attack clean alone, on corrupted images such as those of the dataset cifar10-c:fog:3"
        )
