"""An audit as text: the verdict, and the checklist in words, in the terminal and in the reports of its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from counteract._sealed import unseal
from counteract.evaluation.results import Run
from counteract.reporting.terminal import print_run

if TYPE_CHECKING:
    from counteract.auditing.outcome import Audit

AUDIT = "audit.json"
"""The file of an audit in the folder of its run."""

_MARKS = {True: "FLAG", False: "ok", None: "-"}


@dataclass(frozen=True)
class Findings:
    """The findings of an audit, as text.

    Attributes:
        defence: The defence that was audited.
        checks: The mark, `FLAG`, `ok` or `-`, the name and the words of each check, the flags first.
        notes: Further remarks.
        word: The verdict; empty in the file of an earlier version, which had none.
        reason: The reason for it.
        skipped: The attacks and tests that were left out.
    """

    defence: str
    checks: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...]
    word: str = ""
    reason: str = ""
    skipped: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """The verdict in one line."""
        flags = sum(mark == _MARKS[True] for mark, _, _ in self.checks)
        said = f"{self.word}: {self.reason}. " if self.word else ""
        if flags:
            end = f"{flags} red flag{'s' * (flags > 1)}. What it gains is not to be relied on."
            return f"{self.defence}: {said}{end}"
        if self.word in ("", "sound"):
            reason = "" if self.reason in ("", "no flag is up") else f": {self.reason}"
            return f"{self.defence}: sound as far as this preset goes: no flag is up{reason}."
        return f"{self.defence}: {said}No flag is up."

    @property
    def remarks(self) -> list[str]:
        """The notes, and what was left out."""
        left = f"left out, because the verdict could not change: {', '.join(self.skipped)}"
        return [*self.notes, *([left] if self.skipped else [])]


def findings(content: Mapping[str, Any]) -> Findings:
    """Returns the findings of an audit from the data that its audit.json holds.

    Raises:
        LookupError: a key is missing, or a flag is none.
        TypeError: a value is of another type.
    """
    checks = [(check["flag"], str(check["name"]), str(check["words"])) for check in content["checks"]]
    checks.sort(key=lambda check: (check[0] is not True, check[0] is None))
    marked = tuple((_MARKS[flag], name, words) for flag, name, words in checks)
    said = str(content.get("verdict", "")), str(content.get("reason", ""))
    skipped = tuple(map(str, content.get("skipped", ())))
    return Findings(str(content["defence"]), marked, tuple(map(str, content["notes"])), *said, skipped)


def read_findings(folder: Path, run: Run) -> Findings | str | None:
    """Reads the audit in the folder of a run.

    Returns:
        Its findings; None if there is no audit; or, where it is damaged or about other accuracies than the run's, a
        sentence about that.
    """
    path = folder / AUDIT
    if not path.exists():
        return None
    try:
        content = unseal(path.read_bytes())
        found = findings(content)
        audited = {(row["model"], row["attack"], row["defence"], row["accuracy"]) for row in content["rows"]}
    except (OSError, ValueError, LookupError, TypeError) as error:
        return f"{path} is damaged and left out ({error}); run the audit again"
    if audited != {(row.model, row.attack, row.defence, row.accuracy) for row in run.rows}:
        return f"{path} is about other accuracies than this run has, and left out; run the audit again"
    return found


def audit_lines(found: Audit) -> list[str]:
    """Returns the checklist, the flags first, and the verdict."""
    said = findings(found.content())
    lines = [f"{mark:<5}{name}: {words}." for mark, name, words in said.checks]
    return [*lines, *(f"note {note}" for note in said.remarks), said.verdict]


def print_audit(found: Audit) -> None:
    """Prints the accuracies of an audit, the checklist and the verdict."""
    print_run(found.run)
    console = Console(soft_wrap=True, emoji=False)
    for line in ["", *audit_lines(found)]:
        console.print(line, highlight=False, markup=False)
