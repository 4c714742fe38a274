"""JUnit XML: counts that fit, and a case for each check."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from reporting.audited import FLAGGED, SOUND, UNSURE

from counteract.auditing import Audit
from counteract.reporting.junit import junit

PROBLEMS = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}


@pytest.mark.parametrize("found", [SOUND, FLAGGED, UNSURE])
def test_the_counts_are_those_of_the_cases(found: Audit) -> None:
    root = ElementTree.fromstring(junit(found).encode())
    assert root.tag == "testsuites"
    (suite,) = root
    assert {name: int(suite.attrib[name]) for name in PROBLEMS} == {
        name: len(list(suite.iter(tag))) for name, tag in PROBLEMS.items()
    }
    assert all(case.attrib["classname"] == "counteract.audit.rotation" for case in suite)


@pytest.mark.parametrize(("found", "problem"), [(SOUND, "system-out"), (FLAGGED, "failure"), (UNSURE, "error")])
def test_the_verdict_is_the_first_case(found: Audit, problem: str) -> None:
    (suite,) = ElementTree.fromstring(junit(found).encode())
    first = suite[0]
    assert (first.attrib["name"], first[0].tag) == ("verdict", problem)
    said = first[0].text or first[0].attrib["message"]
    assert said == f"{found.verdict}: {found.decision.reason}"


def test_checks_are_cases() -> None:
    (suite,) = ElementTree.fromstring(junit(FLAGGED).encode())
    kinds = {case.attrib["name"]: case[0].tag for case in suite}
    assert kinds == {"verdict": "failure", "black box": "system-out", "gain": "failure", "convergence": "skipped"}
    assert [each.attrib["message"] for each in suite.iter("failure")][1] == "it is <not> ? & confirmed"
