"""The loop: what it writes, what it computes, and that one process or several, interrupted or not, compute the same."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from torch import Tensor

from counteract._errors import UserError
from counteract._files import sole_writer
from counteract.datasets import ArrayDataset, Dataset
from counteract.models import load_model, read_card
from counteract.training import METHODS, Method, Run, objectives, train
from counteract.training.adversary import attacked
from counteract.training.checkpoint import save_checkpoint
from counteract.training.loop import Trainer, make_fabric
from counteract.training.outputs import build_network

Digits = tuple[Dataset, Dataset]
MakeRun = Callable[..., Run]


def losses(out: Path) -> list[float]:
    with (out / "metrics.csv").open(encoding="utf-8") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def same_weights(one: Path, other: Path) -> bool:
    ours, theirs = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    return ours.keys() == theirs.keys() and all(ours[name].equal(theirs[name]) for name in ours)


def train_quietly(run: Run, digits: Digits) -> str:
    """Trains; returns what a person would have seen."""
    seen = io.StringIO()
    train(run, *digits, console=Console(file=seen, width=200))
    return seen.getvalue()


@pytest.mark.parametrize("method", METHODS)
def test_outputs(method: Method, make_run: MakeRun, tmp_path: Path, digits: Digits) -> None:
    run = make_run(tmp_path / "out", method, epochs=1)
    seen = train_quietly(run, digits)
    assert "epoch   1/1" in seen
    assert "validation: clean" in seen
    assert "images/s" in seen
    card = read_card(run.out / "model.safetensors")
    assert json.loads((run.out / "card.json").read_text(encoding="utf-8")) == card.model_dump(mode="json")
    assert (card.dataset, card.method, card.recipe["name"], card.recipe["epochs"]) == ("noisy", method, "tiny", 1)
    assert card.accuracy["n"] == 40
    assert card.accuracy["clean_low"] <= card.accuracy["clean"] <= card.accuracy["clean_high"]
    assert card.conditions["processes"] == 1
    assert len(losses(run.out)) == 1
    assert list((run.out / "tensorboard").iterdir())
    network = load_model(str(run.out / "model.safetensors"))
    correct = (network(digits[1].images).argmax(1) == digits[1].labels).sum()
    assert card.accuracy["clean"] == pytest.approx(100 * int(correct) / 40, abs=2.6)


@pytest.mark.parametrize("method", ["mixup", "iat"])
def test_other_mixup_weights_are_another_training(
    method: Method, make_run: MakeRun, tmp_path: Path, digits: Digits
) -> None:
    for alpha in (1.0, 0.3):
        train_quietly(make_run(tmp_path / str(alpha), method, epochs=1, alpha=alpha), digits)
    assert losses(tmp_path / "1.0") != losses(tmp_path / "0.3")


def test_it_learns(make_run: MakeRun, tmp_path: Path, digits: Digits) -> None:
    """On digits it has memorised: the loss falls well below chance, log 10."""
    train_quietly(make_run(tmp_path / "out", "standard", epochs=15, lr=0.1, crop_padding=0), digits)
    assert losses(tmp_path / "out")[-1] < 1.8


def test_the_test_set_is_not_looked_at_while_training(make_run: MakeRun, tmp_path: Path, digits: Digits) -> None:
    training, test = digits
    train_quietly(make_run(tmp_path / "one"), digits)
    other = ArrayDataset(test.name, 1 - test.images, test.labels.flip(0), test.class_names)
    train_quietly(make_run(tmp_path / "two"), (training, other))
    assert same_weights(tmp_path / "one", tmp_path / "two")
    assert losses(tmp_path / "one") == losses(tmp_path / "two")


def test_seeds_differ(make_run: MakeRun, tmp_path: Path, digits: Digits) -> None:
    run = make_run(tmp_path / "one", epochs=1)
    train_quietly(run, digits)
    train_quietly(replace(run, out=tmp_path / "two", seed=1), digits)
    assert losses(tmp_path / "one") != losses(tmp_path / "two")


KILLED = """
import os, signal, sys
from counteract import cli
from counteract.training import data

batch = data.Batches.batch
def deadly(self, order, epoch, number):
    if (epoch, number) == (1, 2):
        os.kill(os.getpid(), signal.SIGKILL)
    return batch(self, order, epoch, number)
data.Batches.batch = deadly
cli.main(sys.argv[1:])
"""


def command(method: Method, recipe: Path, files: tuple[Path, Path], out: Path) -> list[str | Path]:
    """The command line for the run that `make_run` makes."""
    data: list[str | Path] = ["train", "--dataset", files[0], "--test", files[1], "--arch", "resnet8", "--width", "8"]
    return [*data, "--method", method, "--recipe", recipe, "--out", out]


def test_killed_in_mid_epoch_and_resumed_ends_with_the_same_weights(
    make_run: MakeRun, recipe: Path, tmp_path: Path, files: tuple[Path, Path], digits: Digits
) -> None:
    """Bitwise, on one CPU process; the metrics are those of an uninterrupted run, too."""
    out = tmp_path / "killed"
    arguments = [sys.executable, "-c", KILLED, *command("iat", recipe, files, out)]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(arguments, env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert (out / "checkpoint.pt").exists()
    assert not (out / "model.safetensors").exists()
    train_quietly(replace(make_run(out, "iat"), resume=True), digits)
    train_quietly(make_run(tmp_path / "whole", "iat"), digits)
    assert same_weights(out, tmp_path / "whole")
    assert losses(out) == losses(tmp_path / "whole")


@pytest.mark.parametrize(
    ("method", "epochs", "launcher", "options"),
    [
        ("mixup", 3, [], ["--devices", "2"]),
        # One epoch: the signs in PGD turn round-off into whole steps, which later losses show.
        ("iat", 1, ["-m", "torch.distributed.run", "--nproc-per-node", "2"], []),
    ],
)
def test_two_processes_have_the_loss_curve_of_one(
    method: Method,
    epochs: int,
    launcher: list[str],
    options: list[str],
    make_run: MakeRun,
    recipe: Path,
    tmp_path: Path,
    files: tuple[Path, Path],
    digits: Digits,
) -> None:
    """The same global batch, shared by two: by our own launcher, and by torchrun."""
    train_quietly(make_run(tmp_path / "one", method, epochs=epochs), digits)
    out = tmp_path / "two"
    arguments = [sys.executable, *launcher, "-m", "counteract", *command(method, recipe, files, out)]
    arguments += ["--epochs", str(epochs), *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(arguments, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert losses(out) == pytest.approx(losses(tmp_path / "one"), abs=1e-4)
    assert read_card(out / "model.safetensors").conditions["processes"] == 2


def test_a_run_can_begin_with_the_weights_of_another(make_run: MakeRun, tmp_path: Path, digits: Digits) -> None:
    """At a learning rate of next to nothing it ends with them, too, and its card says where they came from."""
    first = make_run(tmp_path / "first", epochs=1)
    train_quietly(first, digits)
    weights = first.out / "model.safetensors"
    second = replace(make_run(tmp_path / "second", "standard", epochs=1, lr=1e-30), init=weights)
    train_quietly(second, digits)
    ours, theirs = load_file(second.out / "model.safetensors"), load_file(weights)
    assert ours["stem.0.weight"].equal(theirs["stem.0.weight"])
    assert read_card(second.out / "model.safetensors").recipe["init"] == read_card(weights).recipe
    with pytest.raises(UserError, match="holds another network than"):
        train(replace(second, out=tmp_path / "third", width=4), *digits)


def test_a_run_is_not_overwritten(make_run: MakeRun, tmp_path: Path, digits: Digits) -> None:
    run = make_run(tmp_path / "out", epochs=1)
    train_quietly(run, digits)
    with pytest.raises(UserError, match="holds a run; add --resume"):
        train(run, *digits)


def test_two_runs_do_not_write_to_one_folder(make_run: MakeRun, tmp_path: Path, digits: Digits) -> None:
    run = make_run(tmp_path / "out", epochs=1)
    with sole_writer(run.out), pytest.raises(UserError, match=r"another run writes to .*out: wait until"):
        train(run, *digits)
    train_quietly(run, digits)


def test_resuming_another_run_is_refused(make_run: MakeRun, tmp_path: Path, digits: Digits) -> None:
    run = make_run(tmp_path / "out", epochs=1)
    train_quietly(run, digits)
    with pytest.raises(UserError, match="was made with architecture 'resnet8', this run has 'resnet18'"):
        train(replace(replace(run, resume=True), architecture="resnet18"), *digits)
    with pytest.raises(UserError, match="was made with width 8, this run has 4"):
        train(replace(replace(run, resume=True), width=4), *digits)
    with pytest.raises(
        UserError, match=r"was made with recipe {'epochs': 1}, this run has {'epochs': 2}: say the same"
    ):
        train(replace(make_run(tmp_path / "out", epochs=2), resume=True), *digits)


def test_a_loss_that_is_not_finite_stops_the_run(make_run: MakeRun, tmp_path: Path, digits: Digits) -> None:
    run = make_run(tmp_path / "out", lr=1e30)
    with pytest.raises(UserError, match=r"the loss is (nan|inf) at step [1-4] \(epoch 1\)"):
        train(run, *digits)
    assert not (run.out / "checkpoint.pt").exists()


def test_a_checkpoint_that_cannot_be_written_stops_the_run_and_leaves_the_last(
    make_run: MakeRun, tmp_path: Path, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def fail_at_the_second(folder: Path, state: dict[str, list[object]]) -> None:
        if len(state["history"]) == 2:
            raise UserError("--out: no space left")
        save_checkpoint(folder, state)

    monkeypatch.setattr("counteract.training.loop.save_checkpoint", fail_at_the_second)
    with pytest.raises(UserError, match="no space left"):
        train(make_run(out), *digits)
    monkeypatch.undo()
    train_quietly(replace(make_run(out), resume=True), digits)
    train_quietly(make_run(tmp_path / "whole"), digits)
    assert same_weights(out, tmp_path / "whole")


def test_collapsing_robustness_is_reported(
    make_run: MakeRun, tmp_path: Path, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    robust = iter([4, 8, 3])  # of 16 validation images

    def counted(_fabric: object, _network: object, dataset: Dataset, *, steps: int = 0, **_: object) -> int:
        return next(robust) if steps and len(dataset) == 16 else 12

    monkeypatch.setattr("counteract.training.loop.count_correct", counted)
    seen = train_quietly(make_run(tmp_path / "out", "iat"), digits)
    assert "robust accuracy collapsed from 50.0% to 18.8%" in seen
    assert seen.count("collapsed") == 1


def test_adversarial_training_sees_adversarial_examples_alone(
    make_run: MakeRun, tmp_path: Path, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []

    def spy(network: torch.nn.Module, x: Tensor, y: Tensor, keys: Tensor, **options: Any) -> Tensor:
        seen.append(attacked(network, x, y, keys, **options))
        return seen[-1]

    def loss(network: objectives.Network, x: Tensor, y: Tensor) -> Tensor:
        assert x is seen[-1]
        return standard(network, x, y)

    standard = objectives.standard
    monkeypatch.setattr("counteract.training.loop.attacked", spy)
    monkeypatch.setattr("counteract.training.objectives.standard", loss)
    train_quietly(make_run(tmp_path / "out", "adversarial", epochs=1), digits)
    assert len(seen) == 4  # batches of 32 of 144 images


def test_predicted_labels_can_lead_the_attack(
    make_run: MakeRun, tmp_path: Path, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels: list[Tensor] = []

    def spy(network: torch.nn.Module, x: Tensor, y: Tensor, keys: Tensor, **options: Any) -> Tensor:
        labels.append(y)
        return attacked(network, x, y, keys, **options)

    monkeypatch.setattr("counteract.training.loop.attacked", spy)
    train_quietly(make_run(tmp_path / "true", "iat", epochs=1), digits)
    train_quietly(make_run(tmp_path / "predicted", "iat", epochs=1, attack_labels="predicted"), digits)
    true, predicted = labels[: len(labels) // 2], labels[len(labels) // 2 :]
    assert not true[0].equal(predicted[0])


@pytest.mark.parametrize("method", ["mixup", "adversarial", "iat"])
def test_a_frozen_layer_stays_as_it_was(method: Method, make_run: MakeRun, tmp_path: Path, digits: Digits) -> None:
    run = make_run(tmp_path / "out", method, epochs=2)
    network = build_network("resnet8", 8, digits[0], 0)
    frozen = network.get_submodule("stem.1").eval()
    statistics = {name: value.clone() for name, value in frozen.named_buffers()}
    run.out.mkdir()
    Trainer(make_fabric(run), run, network, digits[0], Console(file=io.StringIO())).fit()
    assert [module for module in network.modules() if not module.training] == [frozen]
    assert all(torch.equal(value, statistics[name]) for name, value in frozen.named_buffers())
