"""`eval/benchmarks/throughput.py`: what is counted and written; how fast this machine is does not matter here."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from scripts import load_script

RECIPE = 'epochs = 1\nbatch_size = 16\nlr = 0.01\nschedule = "one-cycle"\n[iat]\nattack_steps = 2\n'


def test_speeds_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    throughput = load_script("benchmarks/throughput.py")
    monkeypatch.setattr(throughput, "LEAST_SECONDS", 0.01)
    recipe, out = tmp_path / "tiny.toml", tmp_path / "throughput.json"
    recipe.write_text(RECIPE, encoding="utf-8")
    words = ["--arch", "resnet8", "--width", "4", "--batch-size", "8", "--recipe", str(recipe), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["throughput.py", *words])
    throughput.main()
    found = json.loads(out.read_text())
    assert found["matmul"].keys() == {"float32"}
    mixup, iat, counteraction = found["speeds"]
    assert [speed["name"] for speed in found["speeds"]] == ["train mixup", "train iat", "counteraction, N = 9"]
    for speed in found["speeds"]:
        rate = speed["images_per_second"] * speed["flops_per_image"] / found["matmul"]["float32"]
        assert speed["fraction_of_matmul"] == pytest.approx(rate)
        assert speed["slowest"] <= speed["images_per_second"] <= speed["fastest"]
        assert 1 <= len(speed["costliest"]) <= 5
    # A step of Mixup is a forward pass and two backward passes, but for the first layer's gradient of its input; of IAT
    # twice that, and two passes for each step of its attack; counteraction is one forward pass and nine backward.
    forward = mixup["flops_per_image"] / 3
    assert iat["flops_per_image"] == pytest.approx((2 * 3 + 2 * 2) * forward, rel=0.1)
    assert counteraction["flops_per_image"] == pytest.approx(10 * forward, rel=0.1)


def test_operations_are_counted_once_each() -> None:
    throughput = load_script("benchmarks/throughput.py")
    a, b = torch.rand(3, 5), torch.rand(5, 7)
    with throughput.FlopCount() as counter:
        (a @ b).relu()
    assert counter.total == 2 * 3 * 5 * 7
