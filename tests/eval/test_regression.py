"""`eval/regression.py`: today's engine gives the answers that were recorded before it was rebuilt."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from scripts import EVAL, load_script

from counteract.evaluation import read_run

CELLS = {
    "mixup": ["--limit", "4", "--attack", "clean", "pgd10", "smooth", "--defence", "undefended", "counteraction"],
    "iat": ["--limit", "6", "--attack", "clean", "pgd10-targeted", "--defence", "undefended", "crop-pad", "hedge"],
}
"""A few cells by network; those of `smooth` take longest."""


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """Calls the script, and returns its exit code."""
    script = load_script("regression.py")

    def run(*words: str) -> object:
        monkeypatch.setattr(sys, "argv", ["regression.py", *words])
        with pytest.raises(SystemExit) as left:
            script.main()
        return left.value.code

    return run


def test_the_recorded_run_is_whole() -> None:
    run = read_run(EVAL / "results" / "before-rebuild")
    assert run.complete
    assert not run.missing
    assert len(run.cells) == 2 * 5 * 6
    assert run.examples == 100


@pytest.mark.parametrize("model", ["mixup", "iat"])
def test_a_few_answers_are_those_that_were_recorded(
    model: str, cifar10: Path, call: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    code = call("--dataset", str(cifar10), "--model", model, *CELLS[model])
    lines = capsys.readouterr().out.splitlines()
    assert code == 0, lines
    assert lines[-1] == f"0 of {4 * 3 * 2 if model == 'mixup' else 6 * 2 * 3} answers differ"
    assert all(line.endswith("differ") and line.startswith(f"{model}, ") for line in lines[:-1])


def test_an_answer_that_differs_or_is_missing_is_found() -> None:
    script, recorded = load_script("regression.py"), read_run(EVAL / "results" / "before-rebuild")
    other = read_run(EVAL / "results" / "before-rebuild")
    cell = other.cells[3]
    cell.correct[0] = cell.correct[0].clone()
    cell.correct[0][[5, 70]] = 1 - cell.correct[0][[5, 70]]
    other.cells[4].correct[0] = torch.cat([other.cells[4].correct[0], torch.ones(1, dtype=torch.float64)])
    found = list(script.compare(recorded, other))
    assert [each.same for each in found[3:5]] == [False, False]
    assert script.show(found[3]).endswith(": 2 of 100 differ: 5, 70")
    assert script.show(found[4]).endswith(": 100 of 101 examples have a recorded answer")
    assert all(each.same for each in [*found[:3], *found[5:]])
