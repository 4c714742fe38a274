"""An audit as JUnit XML, which CI shows as tests: a case for each check, and one for the verdict."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

if TYPE_CHECKING:
    from counteract.auditing.outcome import Audit

_CONTROL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot hold, which a stranger's error may."""


def junit(found: Audit) -> str:
    """Returns an audit as a suite of tests: a flag is a failure, a check that was not made is skipped.

    The verdict is the first case: a failure where a flag is up, an error where the audit cannot tell.
    """
    (network,) = found.run.spec.models
    name, failed = f"audit of {found.defence} on {network}", sum(bool(check.flag) for check in found.checks)
    counts = {
        "tests": 1 + len(found.checks),
        "failures": failed + found.flagged,
        "errors": int(not found.sound and not found.flagged),
        "skipped": sum(check.flag is None for check in found.checks),
    }
    suites = Element("testsuites", name=_text(name))
    suite = SubElement(suites, "testsuite", {"name": _text(name)} | {key: str(n) for key, n in counts.items()})
    problem = None if found.sound else "failure" if found.flagged else "error"
    _case(suite, found.defence, "verdict", f"{found.verdict}: {found.decision.reason}", problem)
    for check in found.checks:
        problem = "failure" if check.flag else "skipped" if check.flag is None else None
        _case(suite, found.defence, check.name, check.words, problem)
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _case(suite: Element, defence: str, name: str, words: str, problem: str | None) -> None:
    case = SubElement(suite, "testcase", classname=f"counteract.audit.{_text(defence)}", name=_text(name))
    if problem is None:
        SubElement(case, "system-out").text = _text(words)
        return
    kind = {} if problem == "skipped" else {"type": _text(name)}
    SubElement(case, problem, {"message": _text(words)} | kind)


def _text(words: str) -> str:
    return _CONTROL.sub("?", words)
