"""What a person and a program read of a run: the terminal table and `results.json`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.table import Table

from counteract.evaluation.runner import Evaluation
from counteract.evaluation.spec import EvaluationSpec

FOOTNOTE = (
    "Accuracy in percent. The attacks are oblivious: made on the bare network by an attacker who does not know of the "
    "defence. Accuracy under an adaptive attacker, who does, was not measured here; it is what a defence is worth."
)
"""What must be said beside every table of oblivious accuracies."""


def accuracy_tables(evaluation: Evaluation, spec: EvaluationSpec) -> list[Table]:
    """One table a network: a row for each defence, a column for each attack, and the worst case over these."""
    tables = []
    for model in spec.models:
        rows = [row for row in evaluation.rows if row.model == model]
        worst = {case.defence: case for case in evaluation.worst_cases if case.model == model}
        n, seeds = rows[0].n, rows[0].seeds
        title = f"{model} on {spec.dataset}, n = {n}, {seeds} seed{'s' * (seeds > 1)}, eps = {spec.attack.eps:.3g}"
        table = Table(title=title, title_justify="left", box=box.SIMPLE)
        table.add_column("defence")
        for attack in spec.attacks:
            table.add_column(attack.replace("-", "\n"), justify="right")
        table.add_column("worst of these\n(95% interval)", justify="right")
        table.add_column("cost in\nforwards", justify="right")
        for defence in spec.defences:
            cells = {row.attack: row for row in rows if row.defence == defence}
            case = worst[defence]
            low, high = case.ci95
            table.add_row(
                defence,
                *(f"{cells[attack].accuracy:.1f}" for attack in spec.attacks),
                f"{case.accuracy:.1f} ({low:.0f}-{high:.0f})",
                str(next(iter(cells.values())).forward_equivalents),
            )
        tables.append(table)
    return tables


def write_results(
    evaluation: Evaluation, spec: EvaluationSpec, environment: dict[str, str | int], folder: Path
) -> Path:
    """Writes `results.json` into a folder, atomically, and returns its path."""
    path = folder / "results.json"
    content = {
        "rows": [asdict(row) for row in evaluation.rows],
        "worst_cases": [asdict(case) for case in evaluation.worst_cases],
        "environment": environment,
        "spec": spec.model_dump(mode="json", by_alias=True),
    }
    temporary = folder / f".results.json.{os.getpid()}.tmp"
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)
    return path
