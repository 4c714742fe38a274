"""A run as CSV: one line for each accuracy, with all that is known of it."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict

from counteract.evaluation.results import Run

_COLUMNS = (
    "dataset", "model", "defence", "attack", "n", "seeds", "accuracy", "std", "ci95_low", "ci95_high",
    "any_wrong", "unusable", "executions", "forward_passes", "seconds", "relative_time",
    "attack_passes", "projected",
)  # fmt: skip


def to_csv(run: Run) -> str:
    """Returns the rows of a run, with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in run.rows:
        fields = asdict(row)
        fields["ci95_low"], fields["ci95_high"] = fields.pop("ci95")
        writer.writerow(fields)
    return text.getvalue()
