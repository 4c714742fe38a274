"""RobustBench's networks and defences of this package on the command line, with the reservation that goes with both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from zoo import write_checkpoints

from counteract.cli import main

NAME = "cifar10/Linf/Wong2020Fast"
SMALL = ["evaluate", "--limit", "6", "--attack", "clean", "--attack", "pgd1", "--defence", "undefended"]


def call(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return int(stopped.value.code or 0)


def test_a_robustbench_network_and_a_local_one_are_in_one_table(
    zoo: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_checkpoints(zoo, NAME, tmp_path / "models")
    both = ["--model", f"robustbench:{NAME}", "--model", "digits-resnet-mixup"]
    folders = ["--model-dir", str(tmp_path / "models"), "--out", str(tmp_path)]
    assert call([*SMALL, "--defence", "counteraction", *both, *folders]) == 0
    printed = capsys.readouterr().out
    assert printed.count("2 networks on digits, n = 6") == 1
    first, second = printed.index(f"robustbench:{NAME}"), printed.index("digits-resnet-mixup")
    assert 0 < first < second
    assert "not eligible for its leaderboard" in " ".join(printed.split())
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert [row["model"] for row in rows] == [f"robustbench:{NAME}"] * 4 + ["digits-resnet-mixup"] * 4


def test_the_experiment_gives_each_network_the_settings_of_its_kind(zoo: Any, tmp_path: Path) -> None:
    write_checkpoints(zoo, NAME, tmp_path / "models")
    networks = ["--model", "mixup=digits-resnet-mixup", "--model", "iat=digits-resnet-iat", "--model", "wong2020"]
    few = ["--dataset", "digits", "--limit", "2", "--attack", "clean", "--defence", "crop-resize"]
    folders = ["--model-dir", str(tmp_path / "models"), "--out", str(tmp_path)]
    assert call(["evaluate", "robustbench", *few, *networks, *folders]) == 0
    found = json.loads((tmp_path / "results.json").read_text())
    sizes = {each["model"]: each["parameters"].split(",")[0] for each in found["defences"]}
    assert sizes == {
        "mixup": "crop-resize: size 22-30", "iat": "crop-resize: size 24-32", "wong2020": "crop-resize: size 24-32",
    }  # fmt: skip
    assert found["spec"]["models"]["wong2020"] == f"robustbench:{NAME}"


@pytest.mark.usefixtures("zoo")
def test_an_unknown_name_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert call([*SMALL, "--model", "robustbench:cifar10/Linf/Wong2020Fats"]) == 2
    error = capsys.readouterr().err
    assert "did you mean Wong2020Fast or" in error
    assert error.strip().count("\n") == 0
