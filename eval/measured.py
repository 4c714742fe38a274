"""Prints the table of claims of docs/measured.md: each claim's verdict on every record in eval/results.

python eval/measured.py
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from counteract.evaluation import Run, read_run
from counteract.reporting.paper.verdicts import Assessment, assess

RESULTS = Path(__file__).parent / "results"

COLUMNS = {
    "small networks": ("table1", "table3", "table4", "figure1", "figure2", "figure3", "steps", "perturbations"),
    "ResNet-50, CIFAR-10": (
        "pang/table1", "pang/table3", "pang/table4", "pang/figure1", "pang/figure2", "pang/figure3", "pang/steps",
        "pang/perturbations",
    ),
    "ResNet-50, CIFAR-100": (
        "pang/table2", "pang/table3-cifar100", "pang/table4-cifar100", "pang/figure1-cifar100", "pang/figure2-cifar100",
        "pang/figure3-cifar100", "pang/perturbations-cifar100",
    ),
    "the same, Table 6's settings": ("pang/table2-appendix",),
}  # fmt: skip
"""The records of each column; one that is not there has measured nothing."""

LATER = {
    "pang/table1": ("pang/table1-pgd50-targeted", "pang/table1-pgd200-targeted"),
    "pang/table2": ("pang/table2-pgd200-targeted",),
}
"""The records of attacks that a record lacked, made later on another machine: of the same networks, images and seed."""


WITHIN = {"pang/table2-appendix": "pang/table2"}
"""The records of some networks alone, each with one that has the others, for which both have the same settings."""


def read_whole(name: str) -> Run:
    """Returns the run of a record with the cells of those that were made later, in place of its own.

    One of some networks alone has the cells of the others from the record that it is within.
    """
    of = WITHIN.get(name, name)
    run = read_run(RESULTS / of)
    for later in (*LATER.get(of, ()), *([name] if of != name else [])):
        found = {(cell.model, cell.attack, cell.defence): cell for cell in read_run(RESULTS / later).measured}
        run = replace(run, cells=[found.get((cell.model, cell.attack, cell.defence), cell) for cell in run.cells])
    return run


def assessments(names: Iterable[str]) -> Iterator[tuple[str, Assessment]]:
    """Yields the verdicts on the paper's claims of some records, each with the claim and its place in words."""
    for name in names:
        if not (RESULTS / name / "run.json").exists():
            continue
        for found in assess(read_whole(name)):
            if not found.claim.ours:
                yield f"{found.claim.source}: {found.claim.text.split(' (read as')[0]}", found


def rows() -> Iterator[str]:
    """Yields the table's lines."""
    yield f"| claim | paper | {' | '.join(COLUMNS)} |"
    yield "|" + "---|" * (len(COLUMNS) + 2)
    columns = [dict(assessments(names)) for names in COLUMNS.values()]
    for claim in dict.fromkeys(text for column in columns for text in column):
        there = [column.get(claim) for column in columns]
        paper = dict.fromkeys(found.paper.outcome for found in there if found)
        measured = [found.measured.outcome if found else "" for found in there]
        yield f"| {claim} | {'; '.join(paper)} | {' | '.join(measured)} |"


if __name__ == "__main__":
    print("\n".join(rows()))
