"""RobustBench's published figures on its networks, read from the tables in its own package description."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, metadata

from counteract._errors import UserError
from counteract.robustbench.shims import NOT_INSTALLED


def published() -> dict[tuple[str, str, str], tuple[str, float, float]]:
    """Architecture, clean and robust accuracy by dataset, threat model and name, from RobustBench's own description."""
    try:
        text = str(metadata("robustbench").get_payload())  # type: ignore[attr-defined]
    except PackageNotFoundError as error:
        raise UserError(NOT_INSTALLED) from error
    found: dict[tuple[str, str, str], tuple[str, float, float]] = {}
    dataset = threat_model = ""
    for line in text.splitlines():
        if heading := re.fullmatch(r"### (CIFAR-10|CIFAR-100|ImageNet)\s*", line):
            dataset = heading[1].lower().replace("-", "")
        elif heading := re.match(r"#### .*?(Linf|L2|Corruptions)\b", line):
            threat_model = heading[1].replace("Corruptions", "corruptions")
        elif line.startswith("|") and len(cells := _cells(line)) == 7 and cells[0].isdigit():
            _, name, _, clean, robust, architecture, _ = cells
            found.setdefault((dataset, threat_model, name), (architecture, _percent(clean), _percent(robust)))
    return found


def _cells(line: str) -> list[str]:
    """A table row's cells without their markup."""
    return [re.sub(r"<[^>]*>|\*", "", cell).strip() for cell in line.strip().strip("|").split("|")]


def _percent(cell: str) -> float:
    return float(cell.rstrip("%"))
