"""The report as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from counteract.evaluation.results import Run
from counteract.reporting import content, words
from counteract.reporting.audit import Findings
from counteract.reporting.content import Grid
from counteract.reporting.paper.verdicts import Assessment, Verdict, assess
from counteract.reporting.remarks import remarks


def to_markdown(run: Run, audit: Findings | str | None = None) -> str:
    """Returns the whole report; figures and images are in the HTML page alone.

    Args:
        run: The run.
        audit: The findings of an audit of this run, or a sentence about an audit that cannot be shown.
    """
    parts = [f"# {_escape(words.title(run))}", _escape(words.introduce(run))]
    parts.append(_list(f"{name}: {text}" for name, text in words.conditions(run)))
    if audit is not None:
        parts += ["## Audit", *_audit(audit)]
    if said := remarks(run):
        parts += ["## Remarks", _list(said)]
    parts.append("## Accuracy")
    for grid in content.accuracies(run):  # a table may be copied out alone: what must be said stands beside each
        parts += [_grid(grid), *map(_escape, words.notes(run))]
    parts.append(_escape(words.glossary(run)))
    if gains := content.gains(run):
        parts += ["## What counteraction adds", words.gains_note(run), *map(_grid, gains)]
    if parameters := content.parameters(run):
        parts += ["## Parameters", *map(_grid, parameters)]
    if assessments := assess(run):
        parts += ["## Claims", *content.summary(assessments), words.CLAIMS, _claims(assessments)]
    if beside := content.paper_beside_measured(run):
        parts += ["## The paper beside what was measured", _escape(words.paper_note(run)), *map(_grid, beside)]
    return "\n\n".join(parts) + "\n"


def _audit(audit: Findings | str) -> list[str]:
    if isinstance(audit, str):
        return [_escape(audit)]
    rows = [tuple(map(_escape, check)) for check in audit.checks]
    table = _table(("", "check", "finding"), rows)
    return [f"**{_escape(audit.verdict)}**", table, *([_list(audit.remarks)] if audit.remarks else [])]


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {_escape(line)}" for line in lines)


def _grid(grid: Grid) -> str:
    rows = [[_escape(str(item)) for item in row] for row in grid.rows]
    return f"### {_escape(grid.title)}\n\n{_table(grid.header, rows)}"


def _claims(assessments: Iterable[Assessment]) -> str:
    header = ("claim", "source", "in the paper's own figures", "as measured")
    rows = [
        [_escape(found.claim.text), _escape(found.claim.origin), _verdict(found.paper), _verdict(found.measured)]
        for found in assessments
    ]
    return _table(header, rows)


def _verdict(verdict: Verdict) -> str:
    return f"**{verdict.outcome}** {_escape(verdict.evidence)}".strip()


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [map(_escape, header), ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escape(text: str) -> str:
    """Returns the text with what Markdown would take for markup made literal, on one line."""
    for mark in "\\|*_`<>[]":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
