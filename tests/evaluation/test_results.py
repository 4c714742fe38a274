"""The tables of a run, and what it says of itself where something is missing."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from counteract.evaluation.cells import Cell
from counteract.evaluation.results import NetworkNote, Run, write_results
from counteract.evaluation.spec import make_spec

SPEC: dict[str, Any] = {
    "dataset": "digits", "models": ["net"], "attacks": ["clean", "pgd10"],
    "defences": ["undefended", "crop-pad"], "seeds": 2,
}  # fmt: skip
NAN = math.nan
WHOLE = [1.0, 1.0, 0.0, 1.0]

Shares = dict[tuple[str, str], list[list[float]]]


def make(shares: Shares, **fields: Any) -> Run:
    """A run of four examples: by attack and defence the shares of right draws, seed by seed; the rest has none."""
    cells = []
    for attack in SPEC["attacks"]:
        for defence in SPEC["defences"]:
            cell = Cell("net", attack, defence, 1, 1)
            for seed, given in enumerate(shares.get((attack, defence), [])):
                cell.add(seed, torch.tensor(given, dtype=torch.float64), 1.0, 0.5)
            cells.append(cell)
    return Run(make_spec(SPEC, "a test"), {"torch": "1"}, ("a", "b"), cells, examples=4, **fields)


def every(given: list[float]) -> Shares:
    return {(attack, defence): [given, given] for attack in SPEC["attacks"] for defence in SPEC["defences"]}


def test_a_complete_run() -> None:
    run = make(every(WHOLE))
    assert run.complete
    assert run.progress == "complete: all 8 measurements (network x attack x defence x seed)"
    assert run.missing == []
    assert len(run.rows) == 4
    assert [case.defence for case in run.worst_cases] == ["undefended", "crop-pad"]
    assert [found.gain for found in run.summaries] == [None, 0.0]
    assert [(found.attack, found.points, found.n) for found in run.differences] == [("clean", 0, 4), ("pgd10", 0, 4)]


def test_tables_are_made_once() -> None:
    run = make(every(WHOLE))
    for name in ("rows", "worst_cases", "summaries", "differences", "measured", "possible", "unfinished", "missing"):
        assert getattr(run, name) is getattr(run, name)


def test_an_interrupted_run_says_which_cells_are_missing() -> None:
    shares = every(WHOLE) | {("pgd10", "crop-pad"): [[1.0, 1.0, NAN, NAN]], ("clean", "crop-pad"): [WHOLE]}
    run = make(shares)
    assert not run.complete
    assert run.progress == ("unfinished: 5 of 8 measurements (network x attack x defence x seed), and parts of 1 more")
    assert run.missing == [
        "missing, because the run has not come so far: net, clean, crop-pad, seed 1; "
        "net, pgd10, crop-pad, seed 0 (2 of 4 examples); net, pgd10, crop-pad, seed 1"
    ]
    assert [row.n for row in run.rows] == [4, 4, 4, 2]
    assert run.summaries[1].gain_n == 2


def test_damage_is_said_and_may_be_why() -> None:
    damaged = "journal: 2 lines are damaged"
    assert make(every(WHOLE), damage=(damaged,)).missing == [damaged]
    assert make(every(WHOLE), damage=(damaged,)).complete
    first, second = make({}, damage=(damaged,)).missing
    assert first == damaged
    assert second.startswith("missing, because the lines that are damaged held them, or the run has not come so far: ")


def test_many_missing_cells_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("counteract.evaluation.results._NAMED", 3)
    (line,) = make({}).missing
    assert line.endswith("net, clean, undefended, seed 1; net, clean, crop-pad, seed 0; 5 more")


def test_an_attack_that_cannot_run_is_not_missed() -> None:
    shares = every(WHOLE)
    del shares["pgd10", "crop-pad"]
    run = make(shares, obstacles={("net", "pgd10", "crop-pad"): "needs a gradient"})
    assert run.complete
    assert run.progress == "complete: all 6 measurements (network x attack x defence x seed)"
    assert {case.defence: case.attacks for case in run.worst_cases} == {
        "undefended": ("clean", "pgd10"), "crop-pad": ("clean",),
    }  # fmt: skip
    assert make(shares).worst_cases[-1].defence == "undefended"


def test_parameters_are_told_apart_where_they_differ() -> None:
    words = {("net", "crop-pad", False): "size 22-30", ("net", "crop-pad", True): "size 22-30"}
    assert make({}, defences=words).parameters("net", "crop-pad") == [("every attack", "size 22-30")]
    other = words | {("net", "crop-pad", True): "size 24-32"}
    assert make({}, defences=other).parameters("net", "crop-pad") == [
        ("untargeted attacks", "size 22-30"), ("targeted attacks", "size 24-32"),
    ]  # fmt: skip
    assert make({}).parameters("net", "crop-pad") == []
    assert make({}, defences={("net", "undefended", False): ""}).parameters("net", "undefended") == []


def test_results_as_json(tmp_path: Path) -> None:
    note = NetworkNote(random=True, method="iat", training="iat by mine", notes=("Odd.",))
    run = make(
        {("clean", "undefended"): [WHOLE, [1.0, NAN, NAN, NAN]]},
        networks={"net": note},
        defences={("net", "crop-pad", False): "size 22-30"},
        obstacles={("net", "pgd10", "crop-pad"): "needs a gradient"},
    )
    path = write_results(run, tmp_path)
    assert path == tmp_path / "results.json"
    assert [found.name for found in tmp_path.iterdir()] == ["results.json"]
    content = json.loads(path.read_text())
    assert (content["complete"], content["missing"], content["environment"]) == (False, run.missing, {"torch": "1"})
    (row,) = content["rows"]
    assert (row["n"], row["seeds"], row["accuracy"], row["forward_passes"]) == (1, 2, 100, 1)
    assert content["networks"] == {"net": asdict(note) | {"notes": ["Odd."]}}
    assert content["networks"]["net"]["training"] == "iat by mine"
    assert content["defences"] == [
        {"model": "net", "defence": "crop-pad", "attacks": "every attack", "parameters": "size 22-30"}
    ]
    assert content["obstacles"] == [
        {"model": "net", "attack": "pgd10", "defence": "crop-pad", "why": "needs a gradient"}
    ]
    assert content["spec"]["attacks"] == ["clean", "pgd10"]
