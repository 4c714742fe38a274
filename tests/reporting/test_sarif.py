"""SARIF 2.1.0: the essentials of its schema, and what becomes of checks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from reporting.audited import FLAGGED, SOUND, UNSURE

from counteract.auditing import Audit
from counteract.reporting.sarif import sarif

LEVELS = {"none", "note", "warning", "error"}
KINDS = {"notApplicable", "pass", "fail", "review", "open", "informational"}


@pytest.mark.parametrize("found", [SOUND, FLAGGED, UNSURE])
def test_the_essentials_of_the_schema(found: Audit) -> None:
    log: dict[str, Any] = json.loads(sarif(found))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"] == "counteract"
    assert len({rule["id"] for rule in rules}) == len(rules)
    assert all(rule["shortDescription"]["text"] for rule in rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in LEVELS
        assert result["kind"] in KINDS
        assert result["kind"] == "fail" or result["level"] == "none"  # section 3.27.10
        assert result["message"]["text"].startswith("rotation: ")
        assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "net/rotation"


@pytest.mark.parametrize(("found", "kind"), [(SOUND, "pass"), (FLAGGED, "fail"), (UNSURE, "open")])
def test_the_verdict_comes_first(found: Audit, kind: str) -> None:
    (run,) = json.loads(sarif(found))["runs"]
    first = run["results"][0]
    assert (first["ruleId"], first["kind"]) == ("counteract/verdict", kind)
    assert first["message"]["text"] == f"rotation: {found.verdict}: {found.decision.reason}"
    assert run["properties"]["verdict"] == found.verdict


def test_checks_are_results() -> None:
    (run,) = json.loads(sarif(FLAGGED))["runs"]
    kinds = {result["ruleId"]: (result["kind"], result["level"]) for result in run["results"][1:]}
    assert kinds == {
        "counteract/black-box": ("pass", "none"),
        "counteract/gain": ("fail", "error"),
        "counteract/convergence": ("notApplicable", "none"),
    }
