"""`counteract evaluate` as its user meets it: what it prints, the files it writes, its errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from counteract import evaluation
from counteract._errors import UserError
from counteract.cli import main
from counteract.evaluation import EvaluationSpec, Run, RunOptions, make_spec, read_spec

SMALL = ["evaluate", "--limit", "8", "--attack", "clean", "--attack", "pgd2", "--defence", "undefended", "--defence"]


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
        ("clean", "undefended"), ("clean", "counteraction+crop-resize"),
        ("pgd2", "undefended"), ("pgd2", "counteraction+crop-resize"),
    ]  # fmt: skip
    for row in results["rows"]:
        assert {"dataset", "model", "attack", "defence", "seeds", "n", "accuracy", "std", "ci95", "executions",
                "seconds"} <= row.keys()  # fmt: skip
        assert 0 <= row["ci95"][0] <= row["accuracy"] <= row["ci95"][1] <= 100
        assert (row["n"], row["seeds"], row["seconds"] > 0) == (8, 2, True)
    assert results["environment"]["torch"]
    assert results["spec"]["parameters"]["crop-resize"]["executions"] == 20
    assert {path.name for path in (tmp_path / "a/b").glob("[!.]*") if path.is_file()} == {
        "run.json", "journal.jsonl", "results.json", "report.md", "report.html", "rows.csv",
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
        (["--dataset", "cifar100"], ["dataset cifar100 has no network of its own: name one with --model"]),
        (["--limit", "0"], ["limit", "found 0"]),
        (["--eps", "8/x"], ["eps", "a fraction such as \"8/255\", found '8/x'"]),
        (["--eps", "8/0"], ["eps", "a fraction"]),
        (["--eps", "8"], ["eps", "less than or equal to 1, found '8'"]),
        (["--eps", "0"], ["eps", "greater than 0"]),
        (["--eps-step", "a"], ["eps_step", "a fraction"]),
        (["--norm", "L7"], ["norm", "'Linf'", "found 'L7'"]),
        (["--preset", "quikc"], ["did you mean quick"]),
        (["--budget", "quick"], ["No such option", "--budget"]),
        (["--error", "0.1"], ["No such option", "--error"]),
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
    assert call([*SMALL, "undefended", "--out", str(tmp_path / "file")]) == 2
    assert "cannot be made a folder" in capsys.readouterr().err


def test_an_experiment_by_its_name_with_other_data_and_networks(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--dataset", "digits", "--model", ":cat:=digits-resnet-iat", "--model", "mixup=digits-resnet-mixup"]
    assert call(["evaluate", "table1", *options, "--limit", "4", "--seeds", "1", "--attack", "clean"]) == 0
    printed = capsys.readouterr().out
    assert "Table 1: CIFAR-10 under PGD" in printed
    assert printed.count("counteraction+crop-pad") == 2
    assert ":cat:" in printed  # and no picture of one


def test_adaptive_attacks_with_a_preset_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    attacks = ["--attack", "clean", "--attack", "bpda-apgd-ce", "--preset", "quick", "--draws", "2"]
    defences = ["--defence", "undefended", "--defence", "counteraction"]
    assert call(["evaluate", "--limit", "4", *attacks, *defences, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "what the attacks leave" in printed
    assert "(bpda-apgd-ce)" in printed
    assert "not measured" not in printed
    results = json.loads((tmp_path / "results.json").read_text())
    assert (results["spec"]["draws"], results["spec"]["preset"]["steps"]) == (2, 20)
    assert [summary["strongest"] for summary in results["summaries"]] == ["bpda-apgd-ce"] * 2


def given(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> EvaluationSpec:
    """The spec that a command line stands for; nothing is run."""
    seen: list[EvaluationSpec] = []

    def stop(spec: EvaluationSpec, options: RunOptions) -> Run:
        seen.append(spec)
        raise UserError("stopped")

    monkeypatch.setattr(evaluation, "evaluate_spec", stop)
    assert call(["evaluate", *arguments]) == 2
    return seen[0]


def test_the_threat_model_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "mine.toml"
    own.write_text('extends = "table1"\neps_step = "3/255"\n[threat_model]\neps = "5/255"\n')
    for arguments, eps, step in (
        ([], 12, 3),
        (["--eps", "4/255"], 4, 1),
        (["--eps", "4/255", "--eps-step", "2/255"], 4, 2),
        (["--eps-step", "1/255"], 12, 1),
        (["--norm", "Linf", "--dataset", "cifar10", "--eps", "0.02"], 5.1, 1.275),
        ([str(own)], 5, 3),
        ([str(own), "--eps", "6/255"], 6, 1.5),
        (["table1"], 8, 2),
    ):
        spec = given(arguments, monkeypatch)
        assert [255 * spec.threat_model.eps, 255 * spec.step] == pytest.approx([eps, step])


def test_cifar100_has_the_papers_settings_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = given(["--dataset", "cifar100", "--model", "cifar10-resnet18w16-iat"], monkeypatch)
    table = make_spec(read_spec("table6"), "table6")
    assert (spec.dataset, spec.limit, spec.seeds) == ("cifar100", 1000, 1)
    undefended = spec.variants()[0]
    for method in (None, "mixup", "iat", "adversarial"):
        for targeted in (False, True):
            mine, theirs = (
                each.parameters_for("a", method, targeted=targeted, variant=undefended) for each in (spec, table)
            )
            assert mine == theirs


def test_crops_of_a_file_of_images_follow_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = given(["--dataset", "mine.npz", "--model", "cifar10-resnet18w16-iat"], monkeypatch)
    found = spec.parameters_for("a", None, targeted=False, variant=spec.variants()[0])
    assert found["crop-pad"] == {"executions": 50}
    assert found["mixup-inference"] == {"weight": 0.5, "executions": 30}


def test_a_label_names_one_of_the_specs_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given(["table1", "--model", "iat"], monkeypatch).models == {"iat": "cifar10-resnet18w16-iat"}
    assert given(["table1", "--model", "iat=a.safetensors"], monkeypatch).models == {"iat": "a.safetensors"}
    assert given(["table1", "--model", "a.safetensors"], monkeypatch).models == {"a.safetensors": "a.safetensors"}
