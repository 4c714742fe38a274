"""What the terminal shows of an audit: the accuracies, then the checklist in words."""

from __future__ import annotations

from rich.console import Console

from counteract.evaluation.audit import Audit
from counteract.reporting.terminal import print_run

_MARKS = {True: "FLAG", False: "ok", None: "-"}


def audit_lines(found: Audit) -> list[str]:
    """The checklist, the flags first, and the verdict."""
    order = sorted(found.checks, key=lambda check: (check.flag is not True, check.flag is None))
    lines = [f"{_MARKS[check.flag]:<5}{check.name}: {check.words}." for check in order]
    lines += [f"note {note}" for note in found.notes]
    flags = sum(check.flag is True for check in found.checks)
    if flags:
        return [*lines, f"{found.defence}: {flags} red flag{'s' * (flags > 1)}. What it gains is not to be relied on."]
    return [*lines, f"{found.defence}: sound as far as this budget goes: no flag is up."]


def print_audit(found: Audit) -> None:
    """Prints the accuracies of an audit, the checklist and the verdict."""
    print_run(found.run)
    console = Console(soft_wrap=True)
    for line in ["", *audit_lines(found)]:
        console.print(line, highlight=False, markup=False)
