"""The spec of an audit: its attacks, stage by stage, on the undefended network and on the one with the defence."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import chain
from typing import Any

from counteract._errors import UserError
from counteract.attacks import CLEAN, find_attack
from counteract.attacks.norms import CLIMBED, climbs_in
from counteract.defences import UNDEFENDED
from counteract.evaluation import EvaluationSpec, make_spec

SECOND, THIRD = "bpda-apgd-cw", "bpda-apgd-t"
"""The attacks of the second and the third stage; the second is the one that the tests of the attack prefer."""

_LAST = (
    "bpda-apgd-ce", "bpda-apgd-dlr", "bpda-apgd-losses", "bpda-pgd", "bpda-pgd-losses", "smooth", "fixed", "joint",
    "cheap", "square", "decision",
)  # fmt: skip
"""The attacks of the last stage: those that ask and follow no gradients at its end."""

UNDER = ("under-cw", "under-t", "under-ce")
"""The attacks for a defence whose gradients are wrong or none, where the network under it is known."""

AROUND = ("around",)
"""The attack for answers without a gradient: another network's, averaged over a neighbourhood, leads there better."""

DEFAULTS = {"preset": "quick", "limit": 100, "seeds": 2, "draws": 5}
"""The fields of an audit's spec where nobody gives others: a first look."""


def stages(steps: int) -> tuple[tuple[str, ...], ...]:
    """Returns the attacks of an audit, stage by stage; after each it is seen if the verdict can still change.

    Args:
        steps: The preset's number of steps, which plain PGD takes, too.
    """
    first = (*alone(steps), "apgd-dlr", "apgd-t")
    return first, (SECOND,), (THIRD,), _LAST


def alone(steps: int) -> tuple[str, ...]:
    """Returns the attacks that try every example; the others try what those before them left, as AutoAttack does."""
    return CLEAN, f"pgd{steps}", "noise", "apgd-ce"


def of_a_bare_network(steps: int) -> tuple[str, ...]:
    """Returns the attacks of an audit that are made where there is no defence: the others would be the same once more.

    Args:
        steps: The preset's number of steps.
    """
    return tuple(name for name in chain(*stages(steps)) if name == SECOND or not knows(name))


def make_audit_spec(data: Mapping[str, Any], defence: str | None = None, source: str = "options") -> EvaluationSpec:
    """Returns the spec of an audit: every attack on the undefended network and on the defended one.

    Args:
        data: A spec; its attacks, other defences, a sweep and a cascade do not count.
        defence: The defence: a label among the spec's, or a name; None for the only one that the spec has, if any.
        source: The place of the data, for errors.

    Raises:
        UserError: (a ValueError) a key is missing, unknown or has an invalid value, there are several networks or
            defences, or no attack climbs in the norm.
    """
    fixed = {"attacks": [CLEAN], "cascade": True, "alone": (), "sweep": None}
    made = make_spec({"defences": [UNDEFENDED], **data, **fixed}, source)
    label = _only(made.defences) if defence is None else defence
    own = {} if label in (UNDEFENDED, "none") else {label: made.defences.get(label, label)}
    attacks = {"attacks": tuple(chain(*stages(made.preset.steps))), "alone": alone(made.preset.steps)}
    made = made.model_copy(update={"defences": {UNDEFENDED: UNDEFENDED} | own} | attacks)
    if len(made.models) > 1:
        raise UserError(f"an audit is about one model, found {', '.join(made.models)}: name one")
    if made.threat_model.norm not in CLIMBED:
        raise UserError(f"an audit in {made.threat_model.norm} is not to be had: {climbs_in(CLIMBED)}")
    return made


def _only(defences: Collection[str]) -> str:
    """Returns the only label of a defence, or that of none where there is no defence.

    Raises:
        UserError: (a ValueError) there are several, so that one must be named.
    """
    found = [label for label in defences if label != UNDEFENDED]
    if len(found) > 1:
        raise UserError(f"an audit is about one defence, found {', '.join(found)}: name one with --defence")
    return found[0] if found else UNDEFENDED


def knows(name: str) -> bool:
    """Returns True for an attack along gradients that knows of the defence."""
    return find_attack(name).adaptive and find_attack(name).gradients


def audited(spec: EvaluationSpec) -> str:
    """Returns the label of the defence that is audited."""
    return list(spec.defences)[-1]
