"""Options that commands have in common: that each reaches both, and what is said of wrong ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from counteract import evaluation
from counteract._errors import UserError
from counteract.cli import main
from counteract.cli.options import Shared, choose_device, make_folder
from counteract.evaluation import EvaluationSpec, Run, RunOptions
from counteract.evaluation.options import Silent
from counteract.evaluation.spec import OwnNetwork, Pictures


def call(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return int(stopped.value.code or 0)


def test_every_option_in_common_reaches_both_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from counteract import auditing

    monkeypatch.chdir(tmp_path)
    seen: list[tuple[Any, RunOptions]] = []

    def stop(spec: EvaluationSpec, options: RunOptions) -> Run:
        seen.append((spec, options))
        raise UserError("stopped")

    monkeypatch.setattr(evaluation, "evaluate_spec", stop)
    monkeypatch.setattr(auditing, "audit_spec", stop)
    options = {
        "--dataset": "mine.npz", "--weights": "w.pt", "--mean": "0.5,0.4,0.3", "--std": "0.2,0.3,0.4", "--norm": "Linf",
        "--model-dir": "m", "--eps": "3/255", "--eps-step": "2/255", "--preset": "full", "--limit": "3", "--seeds": "4",
        "--draws": "6", "--precision": "bf16", "--pool": "p.npz", "--batch-size": "7", "--device": "cpu",
        "--data-dir": "d", "--cache": "c", "--surrogate": "own:net", "--bpda-at": "act", "--resize": "9", "--crop": "8",
        "--workers": "3", "--save-examples": "e", "--classes": "c.txt",
    }  # fmt: skip
    switches = ("--trust", "--untrained", "--skip-unreadable")
    flat = [word for pair in options.items() for word in pair]
    uncached = [word for pair in options.items() if pair[0] != "--cache" for word in pair]
    for command in ("evaluate", "audit"):
        assert call([command, "--model", "package.nets:make", *switches, *flat]) == 2
        assert call([command, "--model", "package.nets:make", "--no-cache", *uncached]) == 2
    every = {*switches, *options, "--no-cache"}
    assert {f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(Shared)} == every
    assert [given.cache for _, given in seen] == [tmp_path / "c", None] * 2
    for spec, given in seen[::2]:
        assert spec.own_network == OwnNetwork(
            weights="w.pt", untrained=True, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), classes="c.txt"
        )
        assert (spec.dataset, spec.limit, spec.seeds, spec.draws, spec.precision) == ("mine.npz", 3, 4, 6, "bf16")
        assert (spec.pool, spec.preset.steps, spec.surrogate, spec.bpda_at) == ("p.npz", 100, "own:net", ("act",))
        assert [255 * spec.threat_model.eps, 255 * spec.step] == pytest.approx([3, 2])
        assert (given.batch_size, given.device.type, given.trust) == (7, "cpu", True)
        assert spec.pictures == Pictures(resize=9, crop=8, skip_unreadable=True)
        assert (given.workers, given.save_examples) == (3, tmp_path / "e")
        assert (given.model_dir, given.data_dir) == (Path("m"), Path("d"))
    assert len(seen) == 4


@pytest.mark.parametrize("order", [("--cache", "c", "--no-cache"), ("--no-cache", "--cache", "c")])
def test_a_cache_and_none_exclude_each_other(order: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["evaluate", *order]) == 2
    said = capsys.readouterr().err
    assert said == "counteract: --cache and --no-cache exclude each other: leave one of them out\n"


def test_no_cache_wins_over_the_environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[RunOptions] = []

    def stop(spec: EvaluationSpec, options: RunOptions) -> Run:
        seen.append(options)
        raise UserError("stopped")

    monkeypatch.setattr(evaluation, "evaluate_spec", stop)
    monkeypatch.setenv("COUNTERACT_CACHE", str(tmp_path / "c"))
    assert [call(["evaluate", *more]) for more in ([], ["--no-cache"])] == [2, 2]
    assert [options.cache for options in seen] == [tmp_path / "c", None]


def test_auto_is_a_device_that_is_here() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["warp", "cuda:99", "cuda:" + "9" * 30, "meta", "xla", "vulkan", "cpu:1", "", "hpu"])
def test_a_device_that_does_not_work_is_named_in_one_line(name: str) -> None:
    with pytest.raises(UserError, match=f"^device '{name}' cannot be used here: [^\n]+$"):
        choose_device(name)


def test_a_folder_is_made_with_those_above_it_or_says_why_not(tmp_path: Path) -> None:
    make_folder(None)
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"out '.*file' cannot be made a folder: File exists"):
        make_folder(tmp_path / "file")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(UserError, match=r"cache '.*link' cannot be made a folder: File exists"):
        make_folder(tmp_path / "link", "cache")
    with pytest.raises(UserError, match="cannot be made a folder: embedded null byte"):
        make_folder(Path("a\0"))


def test_folders_are_made_before_a_run_and_outlive_a_change_of_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = Shared(cache=Path("c")).run_options(Silent(), Path("o"))
    assert (given.cache, given.folder) == (tmp_path / "c", tmp_path / "o")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "o"]
    assert list((tmp_path / "o").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cache 'file' cannot be made a folder"):
        Shared(cache=Path("file")).run_options(Silent(), None)
    (tmp_path / "o" / "run.json").mkdir()
    with pytest.raises(UserError, match=r"run\.json is a folder: name a file"):
        Shared().run_options(Silent(), Path("o"))


def test_whoever_interrupts_a_run_is_told_what_is_kept(tmp_path: Path) -> None:
    assert Shared().kept(tmp_path).startswith(f"what is finished is kept in {tmp_path}")
    assert "no results are kept; with --out" in Shared().kept(None)


@pytest.mark.parametrize("table", ["threat_model", "own_network"])
def test_options_do_not_go_with_a_table_that_is_none(table: str, tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(f'dataset = "digits"\nmodels = ["a"]\n{table} = 3\n')
    with pytest.raises(UserError, match=rf"{table} of the spec must be a table, \[{table}\], found 3"):
        Shared(eps="0.1", mean="1,1,1").spec_data(str(tmp_path / "spec.toml"), [], {})


def test_lists_of_numbers_are_numbers_with_commas() -> None:
    data = Shared(mean="0.5,0.25", std="1,2").spec_data(None, ["net"], {})
    assert data["own_network"] == {"mean": [0.5, 0.25], "std": [1.0, 2.0]}
    with pytest.raises(UserError, match="--std must be numbers with commas between, found '1;2'"):
        Shared(std="1;2").spec_data(None, ["net"], {})
