"""The tables of the reports, of runs that are made up."""

from __future__ import annotations

import torch
from reporting.synthetic import SPEC, adaptive, half_finished, make_run

from counteract.reporting import content
from counteract.reporting.paper.claims import Claim
from counteract.reporting.paper.verdicts import Assessment, Verdict


def test_every_table_of_accuracies_has_the_columns_that_keep_it_honest() -> None:
    run = half_finished(models={"a": "x", "b": "y"}, attacks=["pgd2"])
    for grid in content.accuracies(run):
        assert grid.header[1:4] == ("oblivious worst case", "adaptive", "undefended")
        assert {row[2].text for row in grid.rows} == {"not measured"}
    for grid in [*content.accuracies(run), *content.accuracies(adaptive()), *content.parameters(run)]:
        assert all(len(row) == len(grid.header) for row in grid.rows)


def test_gains_compare_with_the_same_without_counteraction() -> None:
    spec = SPEC | {"defences": ["undefended", "rotation", "counteraction", "counteraction+rotation"], "seeds": 1}
    right = {"undefended": 0, "rotation": 100, "counteraction": 200, "counteraction+rotation": 400}
    run = make_run(spec, lambda model, defence, attack, seed: torch.arange(400) < right[defence])
    (grid,) = content.gains(run)
    assert [(row[0].text, row[1].text) for row in grid.rows] == [
        ("counteraction", "+50.0"), ("counteraction+rotation", "+75.0"),
    ]  # fmt: skip


def test_the_claims_are_counted() -> None:
    claims = [Claim("", "", "", ()), Claim("", "", "", ()), Claim("", "", "", (), ours=True)]
    verdicts = [Verdict("holds"), Verdict("does not hold"), Verdict("holds")]
    found = [
        Assessment(claim, verdict, Verdict("not measured")) for claim, verdict in zip(claims, verdicts, strict=True)
    ]
    assert content.summary(found) == [
        "The paper's claims in its own figures: holds: 1; does not hold: 1.",
        "The same as measured here: not measured: 2.",
    ]
    assert content.summary(found[2:]) == []
