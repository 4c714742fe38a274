"""Attacks in turn, each on what those before it left: the worst case stays what it is, and there is less to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from watching import Watcher

from counteract.attacks import run_attack
from counteract.evaluation import Means, Run, evaluate, make_spec, preset_for
from counteract.evaluation.audit import audit_spec
from counteract.reporting.html import to_html
from counteract.reporting.lines import CASCADE
from counteract.reporting.markdown import to_markdown
from counteract.reporting.terminal import notes
from counteract.reporting.verdicts import assess

SMALL = {"preset": "quick", "steps": 4, "targets": 2}
ATTACKS = ["none", "noise", "pgd3", "bpda-apgd-ce", "apgd-ce", "bpda-apgd-cw"]
MILD = {"eps": 5 / 255, "eps_step": 1.5 / 255}
NOISY = {"gaussian-noise": {"std": 0.2, "executions": 1}}


def run(folder: Path | None = None, watcher: Watcher | None = None, batch_size: int = 100, **changes: Any) -> Run:
    few = {"limit": 40, "attacks": ATTACKS, "defences": ["none", "gaussian-noise"], "draws": 2, "seeds": 2}
    made = make_spec(
        preset_for("digits") | few | {"attack": MILD, "budget": SMALL, "parameters": NOISY} | changes, "test"
    )
    return evaluate(made, Means(batch_size=batch_size, watcher=watcher or Watcher(), folder=folder))


def correct(run: Run) -> dict[tuple[str, str, int], Tensor]:
    return {(cell.attack, cell.defence, seed): hits for cell in run.cells for seed, hits in cell.correct.items()}


def test_worst_cases_are_those_of_all_attacks_on_all_examples_and_each_accuracy_counts_the_attacks_before() -> None:
    every, cascade = run(), run(cascade=True)
    assert [vars(case) for case in cascade.worst_cases] == [vars(case) for case in every.worst_cases]
    found, expected = correct(cascade), correct(every)
    for defence in ("none", "gaussian-noise"):
        for seed in (0, 1):
            left = torch.ones(40, dtype=torch.bool)
            for attack in ATTACKS:
                hits = expected[attack, defence, seed]
                torch.testing.assert_close(found[attack, defence, seed], hits * left)
                left &= hits > 0
            assert 0 < left.sum() < 40


def test_examples_that_are_done_are_not_attacked_again() -> None:
    asked: dict[str, int] = {}

    def count(name: str, of: Any, images: Tensor, *rest: Any) -> Tensor:
        asked[name] = asked.get(name, 0) + len(images)
        return run_attack(name, of, images, *rest)

    watcher = Watcher()
    with mock.patch("counteract.evaluation.crafting.run_attack", count):
        run(cascade=True, watcher=watcher, seeds=1, draws=1)
    assert watcher.begun == watcher.done > 0
    assert asked["noise"] == asked["apgd-ce"] == 40  # both defences are tried on them
    assert asked["bpda-apgd-cw"] < asked["bpda-apgd-ce"] < 2 * 40


def test_nothing_depends_on_the_batch_size() -> None:
    defences = ["counteraction+crop-pad"]
    parameters = {"crop-pad": {"executions": 3}, "counteraction": {"num_labels": 3}}
    whole, parts = (run(cascade=True, batch_size=n, defences=defences, parameters=parameters) for n in (100, 3))
    found, expected = correct(parts), correct(whole)
    assert all(torch.equal(found[place], expected[place]) for place in expected)


def test_a_cascade_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = run(cascade=True)
    run(tmp_path, cascade=True, attacks=ATTACKS[:3])
    lines = (tmp_path / "cells.jsonl").read_text().count("\n")
    resumed = run(tmp_path, cascade=True)
    assert (tmp_path / "cells.jsonl").read_text().count("\n") == lines + 3 * 2 * 2
    found, expected = correct(resumed), correct(whole)
    assert all(torch.equal(found[place], expected[place]) for place in expected)
    run(tmp_path, attacks=ATTACKS[:3])  # without a cascade these are other measurements, but for the first
    assert (tmp_path / "cells.jsonl").read_text().count("\n") == lines + 3 * 2 * 2 + 2 * 2 * 2


def test_nothing_may_be_left() -> None:
    found = run(cascade=True, attacks=["pgd20", "apgd-ce"], attack={"eps": 0.5, "eps_step": 0.1}, defences=["none"])
    assert [(row.accuracy, row.relative_time > 0) for row in found.rows] == [(0, True), (0, False)]


def test_reports_say_so_and_an_audit_takes_no_part() -> None:
    found = run(cascade=True, limit=8, attacks=["none", "bpda-apgd-ce"])
    assert CASCADE in notes(found)
    assert assess(found) == []
    assert CASCADE in to_markdown(found)
    assert "Claims" not in to_markdown(found) + to_html(found)
    plain = run(limit=8, attacks=["none"])
    assert CASCADE not in notes(plain)
    assert assess(plain)
    assert not audit_spec(preset_for("digits") | {"cascade": True}, "counteraction").cascade
