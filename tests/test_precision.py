"""bfloat16 and stated errors as parts of a spec: what they change and what they leave alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from counteract._precision import in_precision
from counteract.datasets import Dataset
from counteract.evaluation import Means, Run, evaluate, make_spec, preset_for
from counteract.reporting.lines import shortcuts

FEW = {"limit": 32, "attacks": ["none", "pgd5"], "defences": ["counteraction", "crop-pad"]}


def run(folder: Path, **changes: Any) -> Run:
    return evaluate(make_spec(preset_for("digits") | FEW | changes, "test"), Means(cache=folder))


def correct(found: Run) -> dict[tuple[str, str], list[bool]]:
    return {(cell.attack, cell.defence): cell.correct[0].tolist() for cell in found.cells}


def test_a_network_in_bfloat16_is_near_the_one_in_float32(digits_net: nn.Module, digits: Dataset) -> None:
    images = digits.images[:50]
    reduced = in_precision(digits_net, "bf16")
    with torch.no_grad():
        exact, near = digits_net(images), reduced(images)
    assert near.dtype == torch.float32
    assert 0 < (near - exact).abs().max() < 0.1 * exact.abs().max()
    assert (near.argmax(1) == exact.argmax(1)).float().mean() >= 0.95
    assert in_precision(digits_net, "float32") is digits_net
    (gradient,) = torch.autograd.grad(reduced(images.requires_grad_()).sum(), images)
    assert gradient.dtype == torch.float32
    assert gradient.abs().max() > 0


def test_oblivious_examples_are_the_same_and_the_answers_nearly(tmp_path: Path) -> None:
    exact = run(tmp_path)
    names = {path.name for path in tmp_path.rglob("*.safetensors")}
    reduced = run(tmp_path, precision="bf16")
    assert {path.name for path in tmp_path.rglob("*.safetensors")} == names
    assert correct(reduced) != correct(exact)  # signs of small gradients flip
    for one, other in zip(exact.rows, reduced.rows, strict=True):
        assert abs(one.accuracy - other.accuracy) < 20
    assert shortcuts(exact) == ""
    assert shortcuts(reduced) == "defended networks in bf16"


def test_a_stated_error_changes_few_labels(tmp_path: Path) -> None:
    exact, likely = run(tmp_path), run(tmp_path, error=0.05)
    for cell, other in zip(exact.cells, likely.cells, strict=True):
        assert (cell.correct[0] == other.correct[0]).double().mean() >= 0.9
    assert shortcuts(likely) == "executions spared, each label another one with probability 0.05 at most"


def test_results_with_shortcuts_do_not_stand_in_for_exact_ones(tmp_path: Path) -> None:
    specs = [
        make_spec(preset_for("digits") | FEW | changes, "t") for changes in ({}, {"precision": "bf16"}, {"error": 0.1})
    ]
    folder = Means(folder=tmp_path)
    for count, spec in enumerate(specs, start=1):
        evaluate(spec, folder)
        assert len((tmp_path / "cells.jsonl").read_text().splitlines()) == 4 * count


@pytest.mark.parametrize(("change", "message"), [({"precision": "fp8"}, "precision"), ({"error": 1.0}, "error")])
def test_values_that_are_none(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_spec(preset_for("digits") | change, "test")
