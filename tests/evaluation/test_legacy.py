"""Folders of runs as they were written before: the committed ones print the numbers that they always printed."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from counteract.evaluation.legacy import is_legacy, read_legacy
from counteract.evaluation.results import Run
from counteract.evaluation.scores import Accuracy
from counteract.evaluation.upgrade import upgrade_attack, upgrade_defence

RESULTS = Path(__file__).parents[2] / "eval" / "results"
SPEC: dict[str, Any] = {
    "dataset": "digits", "models": {"net": "x"}, "attacks": ["none", "pgd10"], "defences": ["none", "crop-pad"],
    "seeds": 2, "attack": {"eps": 0.1, "eps_step": 0.02}, "own_network": {},
}  # fmt: skip
PLACES = [
    {"model": "net", "attack": attack, "defence": defence, "seed": seed, "key": f"{attack}/{defence}/{seed}"}
    for seed in (0, 1)
    for attack in ("none", "pgd10")
    for defence in ("none", "crop-pad")
]
CORRECT = [True, False, True, True, False]


def line(key: str, correct: list[list[bool]] | list[bool] = CORRECT, **changes: Any) -> dict[str, Any]:
    bits = np.atleast_2d(np.array(correct))
    return {
        "key": key, "executions": 50, "work": 60, "seconds": 1.5, "plain_seconds": 0.5,
        "n": bits.shape[1], "correct": np.packbits(bits).tobytes().hex(), "draws": len(bits),
    } | changes  # fmt: skip


def write(folder: Path, lines: list[dict[str, Any]], spec: dict[str, Any] = SPEC) -> Path:
    conditions = {"spec": spec, "environment": {"torch": "1"}, "class_names": ["a", "b"], "places": PLACES}
    (folder / "run.json").write_text(json.dumps(conditions))
    (folder / "cells.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
    return folder


def every() -> list[dict[str, Any]]:
    return [line(str(place["key"])) for place in PLACES]


def test_old_words_become_todays(tmp_path: Path) -> None:
    run = read_legacy(write(tmp_path, every()))
    assert run.complete
    assert run.missing == []
    assert run.examples == 5
    assert (run.spec.attacks, list(run.spec.defences)) == (("clean", "pgd10"), ["undefended", "crop-pad"])
    assert (run.spec.threat_model.eps, run.spec.step) == (0.1, 0.02)
    assert [(cell.attack, cell.defence) for cell in run.cells] == [
        ("clean", "undefended"), ("clean", "crop-pad"), ("pgd10", "undefended"), ("pgd10", "crop-pad"),
    ]  # fmt: skip
    cell = run.cells[-1]
    assert (cell.executions, cell.passes, cell.seconds, cell.undefended_seconds) == (50, 60, 3.0, 1.0)
    assert cell.correct[1].tolist() == [1, 0, 1, 1, 0]
    assert (run.environment, run.class_names, run.networks) == ({"torch": "1"}, ("a", "b"), {})


def test_draws_become_shares(tmp_path: Path) -> None:
    lines = [line(str(PLACES[0]["key"]), [[True, False, True], [True, False, False]])]
    assert read_legacy(write(tmp_path, lines)).cells[0].correct[0].tolist() == [1, 0, 0.5]


def test_settings_hold_for_labels_and_parameters_are_said(tmp_path: Path) -> None:
    setting = {"model": "net", "attacks": "targeted", "parameters": {"crop-pad": {"size": [24, 32]}}}
    spec = SPEC | {"settings": [setting], "parameters": {"crop-pad": {"size": [22, 30], "executions": 7}}}
    run = read_legacy(write(tmp_path, [], spec))
    (found,) = run.parameters("net", "crop-pad")  # no attack of this run is targeted
    assert found[0] == "every attack"
    assert "22" in found[1]
    assert "7" in found[1]
    assert "24" not in found[1]


def test_a_last_line_cut_short_is_missing_but_no_damage(tmp_path: Path) -> None:
    write(tmp_path, every())
    path = tmp_path / "cells.jsonl"
    whole = path.read_bytes()
    for cut in (1, 30, len(json.dumps(every()[-1]))):
        path.write_bytes(whole[:-cut])
        run = read_legacy(tmp_path)
        if cut > 1:  # a whole entry without its newline is one
            assert run.missing == ["missing, because the run has not come so far: net, pgd10, crop-pad, seed 1"]
        assert run.damage == ()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace('"executions"', '"executiens"', 1),
        lambda text: text.replace('"correct": "', '"correct": "x', 1),
        lambda text: text.replace('"correct": "', '"correct": "00', 1),
        lambda text: text.replace('"n": 5', '"n": 4', 1),
        lambda text: text.replace('"n": 5', '"n": 9', 1),
        lambda text: text.replace('"seconds": 1.5', '"seconds": []', 1),
        lambda text: text.replace('"key": "none/none/0"', '"key": []', 1),
        lambda text: text.replace("{", "[", 1),
        lambda text: text.replace("{", "\xff", 1),
    ],
)
def test_damaged_lines_are_said_and_the_others_stay(damage: Any, tmp_path: Path) -> None:
    write(tmp_path, every())
    path = tmp_path / "cells.jsonl"
    path.write_bytes(damage(path.read_text()).encode("latin-1"))
    run = read_legacy(tmp_path)
    said, missing = run.missing
    assert said == f"{path}: 1 of 8 lines is damaged and left out (line 1)"
    assert missing.endswith("or the run has not come so far: net, clean, undefended, seed 0")
    assert len(run.measured) == 4


def test_several_damaged_lines_are_counted(tmp_path: Path) -> None:
    write(tmp_path, every())
    path = tmp_path / "cells.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0][5:], *lines[1:4], lines[4][5:], *lines[5:]]))
    assert read_legacy(tmp_path).damage == (f"{path}: 2 of 8 lines are damaged and left out (lines 1, 5)",)


def test_entries_of_other_runs_do_not_count(tmp_path: Path) -> None:
    run = read_legacy(write(tmp_path, [line("of another spec", [True] * 9), line(str(PLACES[0]["key"]))]))
    assert (len(run.measured), run.damage) == (1, ())


def test_executions_that_were_spared_are_said(tmp_path: Path) -> None:
    run = read_legacy(write(tmp_path, every(), SPEC | {"error": 0.01}))
    (note,) = run.networks["net"].notes
    assert "with probability 0.01 at most" in note


def test_illustrations_that_added_perturbations_up_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, every(), SPEC | {"illustrations": 2})
    assert read_legacy(tmp_path).damage == ()
    (tmp_path / "illustrations.safetensors").write_bytes(b"anything")
    run = read_legacy(tmp_path)
    assert (run.illustrations, run.complete) == ({}, True)
    assert "is of an earlier version, which added the perturbations up, and is left out" in run.damage[0]


def test_folders_that_hold_no_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no run: run\.json: No such file"):
        read_legacy(tmp_path)
    write(tmp_path, [])
    content = json.loads((tmp_path / "run.json").read_text())
    del content["places"]
    (tmp_path / "run.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"run\.json is damaged .*places"):
        read_legacy(tmp_path)


def test_what_is_legacy(tmp_path: Path) -> None:
    write(tmp_path, [])
    text = (tmp_path / "run.json").read_bytes()
    assert is_legacy(text)
    assert not is_legacy(text[:-9])
    assert not is_legacy(b"[]")
    assert not is_legacy(text.replace(b'"spec"', b'"format": 2, "spec"', 1))
    assert not is_legacy(text.replace(b'"spec"', b'"forma1": 2, "spec"', 1))


NUMBERS = ("value", "low", "high", "std", "any_wrong")


def recorded(name: str) -> dict[tuple[str, ...], list[float]]:
    """The numbers that the version which measured a run printed of it, in today's words, by what they are about."""
    found: dict[tuple[str, ...], list[float]] = {}
    with (Path(__file__).parent / "recorded" / f"{name}.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            place = (row["what"], row["model"], upgrade_attack(row["attack"]), upgrade_defence(row["defence"]))
            numbers = [row["n"], *(row[key] for key in NUMBERS)]
            found[(*place, upgrade_defence(row["baseline"]))] = [float(text) for text in numbers if text]
    return found


def numbers_of(run: Run) -> dict[tuple[str, ...], list[float]]:
    """The same of a run that was read."""

    def accuracy(found: Accuracy, *more: float) -> list[float]:
        return [found.n, found.accuracy, *found.ci95, found.std, *more]

    found: dict[tuple[str, ...], list[float]]
    found = {("accuracy", r.model, r.attack, r.defence, ""): accuracy(r, r.any_wrong) for r in run.rows}
    found |= {("worst case", c.model, "", c.defence, ""): accuracy(c, c.any_wrong) for c in run.worst_cases}
    for summary in run.summaries:
        name, strongest = (summary.model, summary.defence), summary.strongest or ""
        parts = {"oblivious": summary.oblivious, "undefended": summary.undefended, "adaptive": summary.adaptive}
        for what, part in parts.items():
            if part is not None:
                found[what, name[0], strongest if what == "adaptive" else "", name[1], ""] = accuracy(part)
        if summary.gain is not None and summary.gain_n is not None and summary.gain_ci95 is not None:
            found["gain", name[0], "", name[1], ""] = [summary.gain_n, summary.gain, *summary.gain_ci95]
    for d in run.differences:
        found["difference", d.model, d.attack, d.defence, d.baseline] = [d.points, *d.ci95]
    return found


@pytest.mark.parametrize("name", ["adaptive", "table4"])
def test_committed_results_have_the_numbers_that_they_had(name: str) -> None:
    wanted, found = recorded(name), numbers_of(read_legacy(RESULTS / name))
    assert found.keys() == wanted.keys()
    for place, numbers in wanted.items():
        assert found[place] == pytest.approx(numbers, rel=1e-8, abs=1e-9), place


UNFINISHED = {"pang/table1", "pang/table2"}
"""Committed folders that lack cells: eval/results/README.md says which."""


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in RESULTS.rglob("cells.jsonl")), ids=lambda path: path.name
)
def test_every_committed_folder_is_read_whole(folder: Path) -> None:
    run = read_legacy(folder)
    unfinished = folder.relative_to(RESULTS).as_posix() in UNFINISHED
    assert run.complete != unfinished
    assert bool(run.missing) == unfinished
    assert run.damage == ()
    for variant in run.spec.variants():
        given = [run.parameters(model, variant.name) for model in run.spec.models]
        assert all(given) != (variant.defence == "undefended")
