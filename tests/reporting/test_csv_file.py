"""A run as CSV."""

from __future__ import annotations

import csv
import io

import pytest
from reporting.synthetic import half_finished

from counteract.reporting.csv_file import to_csv


def test_the_csv_has_every_row_and_field() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(half_finished()))))
    assert [(row["attack"], row["defence"], row["seeds"]) for row in rows] == [
        ("clean", "undefended", "2"), ("clean", "counteraction", "2"), ("clean", "rotation", "1"),
        ("pgd2", "undefended", "2"), ("pgd2", "counteraction", "2"),
    ]  # fmt: skip
    row = rows[-1]
    assert (row["dataset"], row["model"], row["n"]) == ("digits", "net", "4")
    assert float(row["accuracy"]) == 62.5
    assert float(row["std"]) == pytest.approx(17.678, abs=1e-3)
    assert float(row["ci95_low"]) < 62.5 < float(row["ci95_high"])
    assert (row["executions"], row["forward_passes"], row["relative_time"]) == ("1", "13", "13.0")
    assert (float(row["seconds"]), row["unusable"]) == (13.0, "0")
    assert (row["attack_passes"], row["projected"]) == ("", "0")
