"""What a person and a program read of a run: the terminal table and `results.json`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.markup import escape
from rich.table import Table

from counteract._files import write_atomically
from counteract.evaluation.runner import Evaluation
from counteract.evaluation.spec import EvaluationSpec

FOOTNOTE = (
    "Accuracy in percent. The attacks are oblivious: made on the bare network by an attacker who does not know of the "
    "defence. Accuracy under an adaptive attacker, who does, was not measured here; it is what a defence is worth."
)
"""What must be said beside every table of oblivious accuracies."""


def accuracy_table(evaluation: Evaluation, spec: EvaluationSpec) -> Table:
    """A row for each network and defence, a column for each attack, and the worst case over these."""
    n, seeds = evaluation.rows[0].n, evaluation.rows[0].seeds
    subject = spec.models[0] if len(spec.models) == 1 else f"{len(spec.models)} networks"
    budget = f"eps = {255 * spec.attack.eps:.3g}/255"
    title = f"{subject} on {spec.dataset}, n = {n}, {seeds} seed{'s' * (seeds > 1)}, {budget}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    table.add_column("defence")
    for attack in spec.attacks:
        table.add_column(attack.replace("-", "\n"), justify="right")
    table.add_column("worst of these\n(95% interval)", justify="right")
    table.add_column("cost in\nforwards", justify="right")
    for model in spec.models:
        if len(spec.models) > 1:
            table.add_section()
            table.add_row(f"[bold]{escape(model)}")
        for defence in spec.defences:
            table.add_row(defence, *_cells(evaluation, spec, model, defence))
    return table


def _cells(evaluation: Evaluation, spec: EvaluationSpec, model: str, defence: str) -> list[str]:
    """What the table says of one defence of one network."""
    rows = {row.attack: row for row in evaluation.rows if (row.model, row.defence) == (model, defence)}
    (worst,) = [case for case in evaluation.worst_cases if (case.model, case.defence) == (model, defence)]
    low, high = worst.ci95
    return [
        *(f"{rows[attack].accuracy:.1f}" for attack in spec.attacks),
        f"{worst.accuracy:.1f} ({low:.0f}-{high:.0f})",
        str(rows[spec.attacks[0]].forward_equivalents),
    ]


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
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())
    return path
