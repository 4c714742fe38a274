"""`counteract evaluate` as its user meets it: the real command in a process of its own, and its errors in this one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from counteract.cli import main

SMALL = ["evaluate", "--limit", "8", "--attack", "none", "--attack", "pgd2", "--defence", "none", "--defence"]


def call(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return int(stopped.value.code or 0)


def test_a_table_and_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call([*SMALL, "counteraction+crop-resize", "--seeds", "2", "--out", str(tmp_path / "a/b")]) == 0
    printed = capsys.readouterr()
    for word in ("digits-resnet-mixup on digits, n = 8, 2 seeds", "counteraction+crop-resize", "pgd2", "oblivious"):
        assert word in printed.out
    results = json.loads((tmp_path / "a/b/results.json").read_text())
    assert [(row["attack"], row["defence"]) for row in results["rows"]] == [
        ("none", "none"), ("none", "counteraction+crop-resize"),
        ("pgd2", "none"), ("pgd2", "counteraction+crop-resize"),
    ]  # fmt: skip
    for row in results["rows"]:
        assert {"dataset", "model", "attack", "defence", "seeds", "n", "accuracy", "std", "ci95", "executions",
                "seconds"} <= row.keys()  # fmt: skip
        assert 0 <= row["ci95"][0] <= row["accuracy"] <= row["ci95"][1] <= 100
        assert (row["n"], row["seeds"], row["seconds"] > 0) == (8, 2, True)
    assert results["environment"]["torch"]
    assert results["spec"]["parameters"]["crop-resize"]["executions"] == 20
    assert {path.name for path in (tmp_path / "a/b").glob("[!.]*")} == {
        "run.json", "cells.jsonl", "results.json", "report.md", "report.html", "rows.csv",
    }  # fmt: skip


def test_a_spec_file_is_overridden_by_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.toml").write_text(
        'dataset = "digits"\nmodels = ["digits-resnet-mixup"]\nattacks = ["pgd4"]\ndefences = ["none"]\nlimit = 50\n'
    )
    assert call(["evaluate", str(tmp_path / "mine.toml"), "--limit", "9", "--defence", "rotation"]) == 0
    printed = capsys.readouterr().out
    assert "n = 9" in printed
    assert "rotation" in printed
    assert "pgd4" in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--defence", "counteracton"], ["'counteracton'", "did you mean counteraction"]),
        (["--attack", "pgd10-target"], ["did you mean pgd10-targeted"]),
        (["--dataset", "digit"], ["did you mean digits"]),
        (["--dataset", "cifar.npz"], ["--model"]),
        (["--dataset", "cifar.npz", "--model", "digits-resnet-mixup"], ["cifar.npz", "is not a file"]),
        (["--model", "nothing.safetensors"], ["nothing.safetensors"]),
        (["--limit", "0"], ["limit", "found 0"]),
        (["--seeds", "many"], ["--seeds", "valid integer"]),
        (["--batch-size", "0"], ["batch-size"]),
        (["--device", "warp"], ["device 'warp'"]),
        (["--device", "cuda:99"], ["device 'cuda:99'"]),
        (["--sedes", "1"], ["--sedes"]),
        (["nothing.toml"], ["nothing.toml", "cannot be read"]),
        (["tabel1"], ["experiment 'tabel1'", "did you mean table1"]),
        (["table2", "--dataset", "digits"], ["runs/cifar100-mixup/model.safetensors", "cannot be read"]),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(
    arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["evaluate", *arguments]) == 2
    printed = capsys.readouterr()
    lines = printed.err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("counteract: ")
    assert all(word in lines[0] for word in words)
    assert printed.out == ""


def test_an_out_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert call([*SMALL, "none", "--out", str(tmp_path / "file")]) == 2
    assert "cannot be made a folder" in capsys.readouterr().err


def test_help_and_unknown_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert call([]) == 0
    assert "evaluate" in capsys.readouterr().out
    assert call(["evaluate", "--help"]) == 0
    assert "--defence" in capsys.readouterr().out
    assert call(["evaluat"]) == 2


def test_the_command_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "counteract", *SMALL, "rotation"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "rotation" in done.stdout
    assert "100%" in done.stderr
    wrong = subprocess.run(
        [sys.executable, "-m", "counteract", "evaluate", "--attack", "x"], capture_output=True, text=True, check=False
    )
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "Traceback" not in wrong.stderr


def test_an_experiment_by_its_name_with_other_data_and_networks(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--dataset", "digits", "--model", "iat=digits-resnet-iat", "--model", "mixup=digits-resnet-mixup"]
    assert call(["evaluate", "table1", *options, "--limit", "4", "--seeds", "1", "--attack", "none"]) == 0
    printed = capsys.readouterr().out
    assert "Table 1: CIFAR-10 under PGD" in printed
    assert printed.count("counteraction+crop-pad") == 2


def test_the_cache_is_shown_and_cleared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--cache", str(tmp_path)]
    assert call(["evaluate", "--limit", "4", "--attack", "pgd2", "--attack", "pgd1", "--defence", "none", *where]) == 0
    capsys.readouterr()
    assert call(["cache", *where]) == 0
    assert capsys.readouterr().out.endswith("2 files, 0.1 MiB\n")
    assert call(["cache", "--clear", *where]) == 0
    assert "0.1 MiB freed" in capsys.readouterr().out
    assert call(["cache", *where]) == 0
    assert "0 files, 0.0 MiB" in capsys.readouterr().out


def test_adaptive_attacks_with_a_budget_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    attacks = ["--attack", "none", "--attack", "bpda-apgd-ce", "--budget", "quick", "--draws", "2"]
    defences = ["--defence", "none", "--defence", "counteraction"]
    assert call(["evaluate", "--limit", "4", *attacks, *defences, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "what the attacks leave" in printed
    assert "(bpda-apgd-ce)" in printed
    assert "not measured" not in printed
    results = json.loads((tmp_path / "results.json").read_text())
    assert (results["spec"]["draws"], results["spec"]["budget"]["steps"]) == (2, 10)
    assert [summary["strongest"] for summary in results["summaries"]] == ["bpda-apgd-ce"] * 2
    assert call(["evaluate", "--budget", "quikc"]) == 2
    assert "did you mean quick" in capsys.readouterr().err
