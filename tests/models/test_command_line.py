"""RobustBench's networks, and anyone's own, on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from models.conftest import write_checkpoints
from networks import TinyNet
from torch import nn

from counteract.cli import main
from counteract.datasets import load_dataset
from counteract.models import Normalize

NAME = "cifar10/Linf/Wong2020Fast"
SMALL = ["evaluate", "--limit", "6", "--attack", "none", "--attack", "pgd1", "--defence", "none"]


def call(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return int(stopped.value.code or 0)


def test_the_zoo_is_listed(zoo: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["models", "--robustbench", "--dataset", "cifar10", "--threat-model", "Linf"]) == 0
    printed = capsys.readouterr().out
    (line,) = [line for line in printed.splitlines() if "robustbench:cifar10/Linf/Engstrom2019Robustness" in line]
    assert line.split()[1:] == ["ResNet-50", "87.03", "49.25"]
    assert printed.count("robustbench:cifar10/Linf/") == 76
    assert "cifar100" not in printed
    assert "not eligible for its leaderboard" in " ".join(printed.split())


def test_restrictions_go_with_the_zoo(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["models", "--dataset", "cifar10"]) == 2
    assert "go with --robustbench" in capsys.readouterr().err


def test_a_robustbench_network_and_a_local_one_are_in_one_table(
    zoo: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_checkpoints(zoo, NAME, tmp_path / "models")
    both = ["--model", f"robustbench:{NAME}", "--model", "digits-resnet-mixup"]
    folders = ["--model-dir", str(tmp_path / "models"), "--out", str(tmp_path)]
    assert call([*SMALL, "--defence", "counteraction", *both, *folders]) == 0
    printed = capsys.readouterr().out
    assert printed.count("2 networks on digits, n = 6") == printed.count("cost in") == 1
    first, second = printed.index(f"robustbench:{NAME}"), printed.index("digits-resnet-mixup")
    assert 0 < first < second
    assert "not eligible for its leaderboard" in " ".join(printed.split())
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert [row["model"] for row in rows] == [f"robustbench:{NAME}"] * 4 + ["digits-resnet-mixup"] * 4


@pytest.mark.usefixtures("zoo")
def test_an_unknown_name_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert call([*SMALL, "--model", "robustbench:cifar10/Linf/Wong2020Fats"]) == 2
    error = capsys.readouterr().err
    assert "did you mean Wong2020Fast or" in error
    assert error.strip().count("\n") == 0


def test_ones_own_network_with_weights_and_normalisation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"nets_{tmp_path.name}"
    Path(f"{name}.py").write_text("from networks import TinyNet\ndef make(): return TinyNet()\n")
    source = TinyNet()
    source.head.bias.data[3] += 2
    torch.save({"state_dict": source.state_dict()}, "net.pt")
    own = ["--weights", "net.pt", "--mean", "0.4,0.5,0.6", "--std", "0.2,0.3,0.4"]
    assert call([*SMALL, "--model", f"{name}:make", *own, "--out", "out"]) == 0
    assert f"{name}:make on digits" in capsys.readouterr().out
    results = json.loads(Path("out/results.json").read_text())
    assert results["spec"]["own_network"] == {"weights": "net.pt", "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4]}
    data = load_dataset("digits").take(6)
    network = nn.Sequential(Normalize((0.4, 0.5, 0.6), (0.2, 0.3, 0.4)), source).eval()
    expected = (network(data.images).argmax(1) == data.labels).float().mean().item() * 100
    assert results["rows"][0]["accuracy"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "networks:TinyNet", "--mean", "0.5;0.5"], "--mean must be numbers with commas between"),
        (["--model", "networks:TinyNet", "--mean", "0.5,0.5,0.5"], "mean and std go together"),
        (["--model", "networks:TinyNet", "--mean", "0,0,0", "--std", "0,1,1"], "own_network.std.0: Input should be"),
        (["--model", "networks:TinyNet", "--weights", "none.pt"], "weights none.pt is not a file"),
        (["--model", "networks:Tiny"], "did you mean TinyNet"),
        (["--model", "torch.nn:Identity"], "must return logits of shape (2, classes), found (2, 3, 32, 32)"),
    ],
)
def test_mistakes_with_ones_own_network_are_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call([*SMALL, *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.strip().count("\n") == 0
