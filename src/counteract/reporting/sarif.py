"""An audit as SARIF 2.1.0, which code scanning in CI reads: a rule for each check, a result for each finding."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from counteract import __version__

if TYPE_CHECKING:
    from counteract.auditing.checklist import Check
    from counteract.auditing.outcome import Audit

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

_VERDICT = "verdict"
"""The rule of the verdict."""

_KINDS = {True: ("fail", "error"), False: ("pass", "none"), None: ("notApplicable", "none")}
"""The kind and the level of a result, by a check's flag."""


def sarif(found: Audit) -> str:
    """Returns an audit as a SARIF log of one run, the verdict its first result."""
    names = [_VERDICT, *(check.name for check in found.checks)]
    log = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "counteract",
                        "semanticVersion": __version__,
                        "rules": [{"id": _id(name), "shortDescription": {"text": name}} for name in names],
                    }
                },
                "results": [_verdict(found), *(_result(found, each, check) for each, check in enumerate(found.checks))],
                "properties": {"verdict": found.verdict, "sound": found.sound, "notes": list(found.notes)},
            }
        ],
    }
    return json.dumps(log, indent=1) + "\n"


def _verdict(found: Audit) -> dict[str, Any]:
    kind, level = ("pass", "none") if found.sound else ("fail", "error") if found.flagged else ("open", "none")
    return _made(found, 0, _VERDICT, kind, level, f"{found.verdict}: {found.decision.reason}")


def _result(found: Audit, position: int, check: Check) -> dict[str, Any]:
    kind, level = _KINDS[check.flag]
    return _made(found, position + 1, check.name, kind, level, check.words)


def _made(found: Audit, index: int, name: str, kind: str, level: str, words: str) -> dict[str, Any]:
    (network,) = found.run.spec.models
    place = {"name": found.defence, "fullyQualifiedName": f"{network}/{found.defence}", "kind": "module"}
    return {
        "ruleId": _id(name),
        "ruleIndex": index,
        "kind": kind,
        "level": level,
        "message": {"text": f"{found.defence}: {words}"},
        "locations": [{"logicalLocations": [place]}],
    }


def _id(name: str) -> str:
    return "counteract/" + name.replace(" ", "-")
