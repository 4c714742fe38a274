"""The report as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from counteract.evaluation.record import Run
from counteract.reporting import content
from counteract.reporting.content import Grid, Item
from counteract.reporting.lines import describe
from counteract.reporting.terminal import notes
from counteract.reporting.verdicts import Assessment, Verdict, assess


def to_markdown(run: Run) -> str:
    """The whole report; figures and images are in the HTML page alone."""
    parts = [f"# {_escape(content.title(run))}", _escape(describe(run))]
    parts.append("\n".join(f"- {name}: {_escape(text)}" for name, text in content.conditions(run)))
    parts.append("## Accuracy")
    for grid in content.accuracies(run):  # a table may be copied out alone: what must be said stands beside each
        parts += [_grid(grid), *map(_escape, notes(run))]
    parts.append(_escape(content.glossary(run)))
    if gains := content.gains(run):
        parts += ["## What counteraction adds", content.gains_note(run), *map(_grid, gains)]
    if assessments := assess(run):
        parts += ["## Claims", *content.summary(assessments), content.CLAIMS, _claims(assessments)]
    if beside := content.paper_beside_measured(run):
        parts += ["## The paper beside what was measured", _escape(content.paper_note(run)), *map(_grid, beside)]
    return "\n\n".join(parts) + "\n"


def _grid(grid: Grid) -> str:
    rows = [[_item(item) for item in row] for row in grid.rows]
    return f"### {_escape(grid.title)}\n\n{_table(grid.header, rows)}"


def _claims(assessments: Iterable[Assessment]) -> str:
    header = ("claim", "source", "in the paper's own figures", "as measured")
    rows = [
        [_escape(found.claim.text), found.claim.source, _verdict(found.paper), _verdict(found.measured)]
        for found in assessments
    ]
    return _table(header, rows)


def _verdict(verdict: Verdict) -> str:
    return f"**{verdict.outcome}** {_escape(verdict.evidence)}".strip()


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [map(_escape, header), ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _item(item: Item) -> str:
    return _escape(f"{item.text} ({item.small})" if item.small else item.text)


def _escape(text: str) -> str:
    """The text with what Markdown would take for markup made literal, on one line."""
    for mark in "\\|*_`<>[]":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
