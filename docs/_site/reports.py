"""Records under eval/results, read for the site and compared with the README."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEADER = ("defence", "clean", "attacker does not know", "attacker knows", "beside no defence (95%)")
"""The columns of the table that readers see."""

AUDITED = ("defence", "images", "undefended", "worst case", "verdict", "flags")
"""The columns of the table of audits."""

_ACCURACY = re.compile(r"(?P<percent>[\d.]+)(?: ±[\d.]+)? \((?P<low>[\d.]+)-(?P<high>[\d.]+)(?:, [^)]*)?\)")


@dataclass(frozen=True)
class Accuracy:
    """An accuracy in percent, with the ends of its 95% interval."""

    percent: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """The row of a defence.

    Attributes:
        defence: The defence's name.
        clean: The accuracy on clean images.
        oblivious: The worst case over attacks that do not know the defence.
        worst: The worst case over all attacks.
        gain: The worst case minus that of the undefended network, with its interval; empty for that network itself.
    """

    defence: str
    clean: Accuracy
    oblivious: Accuracy
    worst: Accuracy
    gain: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as readers see it, under `HEADER`."""
        accuracies = (f"{each.percent:.1f}" for each in (self.clean, self.oblivious, self.worst))
        return (self.defence, *accuracies, self.gain)


@dataclass(frozen=True)
class Outcome:
    """The outcome of an attacker on a network: the accuracy that is left, in percent, and its passes for an image."""

    network: str
    attacker: str
    left: float
    passes: float


@dataclass(frozen=True)
class Audited:
    """The verdict of an audit, its flags and the accuracies that it goes by, in percent."""

    defence: str
    images: int
    undefended: float
    worst: float
    verdict: str
    flags: tuple[str, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as readers see it, under `AUDITED`."""
        accuracies = (f"{each:.1f}" for each in (self.undefended, self.worst))
        return (f"`{self.defence}`", str(self.images), *accuracies, self.verdict, ", ".join(self.flags) or "none")


def read_outcomes(record: Path) -> list[Outcome]:
    """Reads the record of eval/benchmarks/verdict.py."""
    with record.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [Outcome(row["network"], row["attacker"], float(row["left"]), float(row["passes"])) for row in rows]


def read_rows(report: Path, network: str) -> list[Row]:
    """Reads the rows of a network from a run's report.md.

    Raises:
        ValueError: the report has no such network, or no worst case over attacks that know the defences.
    """
    _, found, part = report.read_text(encoding="utf-8").partition(f"\n### {network}\n")
    lines = [line for line in part.partition("\n###")[0].strip().splitlines() if line.startswith("| ")]
    if not found or len(lines) < 3:
        raise ValueError(f"{report} has no table of {network}")
    header, _, *rows = [[cell.strip().replace("\\", "") for cell in line.strip("| ").split(" | ")] for line in lines]
    if "worst case" not in header:
        raise ValueError(f"{report} has no worst case over attacks that know the defence")
    return [_row(dict(zip(header, cells, strict=True))) for cells in rows]


def read_audits(folder: Path) -> list[Audited]:
    """Reads the audits of a folder, sorted by their defences' names; `counteract audit --out FILE.json` writes one.

    Raises:
        ValueError: the folder has no audit.
    """
    found = [_audited(json.loads(path.read_text(encoding="utf-8"))) for path in folder.glob("*.json")]
    if not found:
        raise ValueError(f"{folder} has no audit")
    return sorted(found, key=lambda each: (each.defence != "undefended", each.defence))


def to_table(rows: Sequence[Row] | Sequence[Audited], header: Sequence[str] = HEADER) -> str:
    """Returns rows as a Markdown table."""
    lines = [header, ["---"] * len(header), *(row.cells for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(cells: dict[str, str]) -> Row:
    clean, oblivious, worst = (_accuracy(cells[name]) for name in ("clean", "oblivious worst case", "worst case"))
    return Row(cells["defence"], clean, oblivious, worst, cells["gain"].removesuffix("-"))


def _audited(content: dict[str, Any]) -> Audited:
    last = content["summaries"][-1]
    return Audited(
        last["defence"],
        last["worst"]["n"],
        last["undefended"]["accuracy"],
        last["worst"]["accuracy"],
        content["verdict"],
        tuple(check["name"] for check in content["checks"] if check["flag"]),
    )


def _accuracy(cell: str) -> Accuracy:
    found = _ACCURACY.fullmatch(cell)
    if found is None:
        raise ValueError(f"{cell} is no accuracy with its interval")
    return Accuracy(*(float(found[name]) for name in ("percent", "low", "high")))
