"""A run's cost is said before the run, and is what the run then takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from watching import Watcher

from counteract.evaluation import Run, RunOptions, evaluate_spec, forecast, make_spec, spec_for_dataset

SPEC: dict[str, Any] = {
    "limit": 12,
    "attacks": ["clean", "noise", "pgd2", "pgd4", "apgd-ce"],
    "defences": ["undefended", "counteraction", "rotation"],
    "parameters": {"rotation": {"executions": 3}, "counteraction": {"num_labels": 9}},
    "seeds": 2,
    "draws": 2,
    "preset": {"preset": "quick", "steps": 2},
}


FEW = SPEC | {"attacks": ["clean", "noise", "bpda-apgd-ce"], "defences": ["undefended", "counteraction"]}


def told(folder: Path | None = None, **changes: Any) -> tuple[list[str], Run]:
    watcher = Watcher()
    run = evaluate_spec(
        make_spec(spec_for_dataset("digits") | SPEC | changes, "test"), RunOptions(watcher=watcher, folder=folder)
    )
    return [line for line in watcher.told if "forward passes" in line], run


def test_a_runs_cost_is_said_with_the_dearest_defence() -> None:
    (line,), run = told()
    judging = 2 * 5 * 12 * (1 + 11 + 2 * 3)  # seeds, attacks, examples; counteraction draws nothing of ten classes
    crafting = 2 * 12 * (1 + 2 * 4)  # of the longer PGD, which passes the shorter one's end
    assert line == (
        f"digits-resnet-mixup: at most {judging + crafting:,} forward passes, {judging:,} to judge (up to "
        f"11 an answer, of counteraction) and {crafting:,} to make PGD's examples; those of apgd-ce come on top"
    )
    assert sum(cell.attack_passes for cell in run.cells if cell.attack == "pgd4") / 3 == 2 * 12 * 2 * 4


def test_the_draws_are_said_that_a_cascade_asks_before_it_gives_up() -> None:
    few: dict[str, Any] = {"attacks": ["clean", "pgd2"], "cascade": True}
    (line,), _ = told(**few, defences=["undefended", "rotation"])
    assert line.endswith("to make PGD's examples; up to 20 draws of what the cascade gives up come on top")
    (line,), _ = told(**few, defences=["undefended", "counteraction"])  # which draws nothing of ten classes
    assert line.endswith("to make PGD's examples")


def test_what_is_done_is_not_counted_again(tmp_path: Path) -> None:
    few = {"attacks": ["clean"], "defences": ["undefended"]}
    told(tmp_path, **few)
    assert told(tmp_path, **few)[0] == []
    ((line), _) = told(tmp_path, **few | {"seeds": 3})
    assert re.search("at most 12 forward passes, 12 to judge$", line[0])


def test_the_room_that_examples_take_is_said_where_it_is_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def said(cache: Path | None) -> list[str]:
        watcher = Watcher()
        evaluate_spec(make_spec(spec_for_dataset("digits") | FEW, "test"), RunOptions(watcher=watcher, cache=cache))
        return [line for line in watcher.told if "GB" in line]

    assert said(tmp_path) == []
    size = 2 * (1 + 2) * 12 * 3 * 32 * 32 * 4  # seeds; noise, and what each defence has of its own; bytes
    monkeypatch.setattr(forecast, "_MUCH", size)
    kept = f"up to 0.0 GB of adversarial examples are kept in {tmp_path / 'other'}"
    assert said(tmp_path / "other") == [f"digits-resnet-mixup: {kept}; --no-cache keeps none"]
    assert said(None) == []
    monkeypatch.setattr(forecast, "_MUCH", size + 1)
    assert said(tmp_path / "third") == []
