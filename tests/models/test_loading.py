"""Networks by name: the shipped ones, and anyone's own as the command line names them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import TinyNet
from torch import nn

from counteract._errors import UserError
from counteract.cli import main
from counteract.datasets import load_dataset
from counteract.models import Normalize, card_of, known_models, load_model, shipped_models
from counteract.models.loading import is_factory, is_named

SMALL = ["evaluate", "--limit", "6", "--attack", "clean", "--attack", "pgd1", "--defence", "undefended"]


def call(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return int(stopped.value.code or 0)


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ([123.7] * 3, [0.2] * 3, r"mean: Input should be in \[0, 1\].* 0.4851\?, found 123.7"),
        ([0.5] * 3, [58.4] * 3, r"std: Input should be in \(0, 1\].*, found 58.4"),
        ([0.5] * 3, [0.0] * 3, "std: Input should be in"),
        ("0.5", [0.2] * 3, "mean must be numbers, one for each channel, found '0.5'"),
    ],
)
def test_normalisation_by_numbers_that_are_no_pixels(mean: Any, std: list[float], message: str) -> None:
    for name in ("networks:TinyNet", "torchvision:resnet18"):
        with pytest.raises(UserError, match=message):
            load_model(name, mean=mean, std=std)


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
    said = {"weights": "net.pt", "untrained": False, "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4]}
    assert results["spec"]["own_network"] == said | {"classes": None}
    data = load_dataset("digits").take(6)
    network = nn.Sequential(Normalize((0.4, 0.5, 0.6), (0.2, 0.3, 0.4)), source).eval()
    expected = (network(data.images).argmax(1) == data.labels).float().mean().item() * 100
    assert results["rows"][0]["accuracy"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "networks:TinyNet", "--mean", "0.5;0.5"], "--mean must be numbers with commas between"),
        (["--model", "networks:TinyNet", "--mean", "0.5,0.5,0.5"], "mean and std go together, found mean alone"),
        (["--model", "torchvision:resnet18", "--untrained", "--std", "0.5,0.5,0.5"], "found std alone"),
        (
            ["--model", "networks:TinyNet", "--mean", "0,0,0", "--std", "0,1,1"],
            "own_network.std.0: Input should be",
        ),
        (
            ["--model", "networks:TinyNet", "--mean", "123.7,116,104", "--std", "0.2,0.2,0.2"],
            "own_network.mean.0: Input should be in [0, 1], as pixels are; did you mean 123.7/255 = 0.4851?",
        ),
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


def test_options_of_a_factory_go_with_nothing_else() -> None:
    with pytest.raises(UserError, match=r"weights and mean go with .*; a shipped network"):
        load_model("digits-resnet-mixup", weights="net.pt", mean=(0.5,))
    with pytest.raises(UserError, match=r"a \.safetensors file"):
        load_model("some.safetensors", std=(0.5,))
    with pytest.raises(UserError, match="a network of RobustBench"):
        load_model("robustbench:cifar10/Linf/Wong2020Fast", weights="net.pt")


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_networks_are_small_and_say_how_they_were_trained(name: str) -> None:
    import counteract.models

    path = Path(counteract.models.__file__).parent / "weights" / f"{name}.safetensors"
    assert path.stat().st_size < 3_000_000
    card = card_of(name)
    assert card.method in name
    assert card.recipe["name"] in ("digits", "fast", "refine")


def test_a_clone_has_the_papers_networks_by_name_too() -> None:
    name = "cifar100-resnet50-pang-iat"
    assert {name, *shipped_models()} <= set(known_models())
    assert name not in shipped_models()
    card = card_of(name)
    assert (card.method, card.dataset, card.architecture) == ("iat", "cifar100", "resnet50-pang")
    assert load_model(name)(torch.zeros(1, 3, 32, 32)).shape == (1, 100)
    assert is_named(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("package.module:factory", True),
        ("digits-resnet-mixup", False),
        ("robustbench:cifar10/Linf/Wong2020Fast", False),
        ("C:/folder/net.safetensors", False),
    ],
)
def test_a_factory_is_told_by_its_name(name: str, expected: bool) -> None:
    assert is_factory(name) == expected


def test_a_file_alone_is_no_network(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "net.pt")
    with pytest.raises(UserError, match=r"net\.pt is a file, which alone is no network: .* --weights FILE"):
        load_model(tmp_path / "net.pt")


def test_a_name_that_is_not_known_lists_near_ones_or_every_kind() -> None:
    with pytest.raises(UserError, match="model 'digits-resnet-mixpu' is not known; did you mean digits-resnet-mixup"):
        load_model("digits-resnet-mixpu")
    with pytest.raises(
        UserError, match=r"known: .*robustbench:, torchvision:, timm:, hf:, clip:, package\.module:fact"
    ):
        load_model("0")


def evaluated(
    model: str, folder: Path, *options: str, limit: int = 16
) -> tuple[dict[tuple[str, str], float], list[str]]:
    """The accuracies of a network that the command line names, and the notes on it."""
    places = ["--out", str(folder), "--cache", str(folder / "cache")]
    given = ["--dataset", "digits", "--attack", "clean", "--limit", str(limit), "--model", f"m=networks:{model}"]
    assert call(["evaluate", *given, *places, *(options or ["--defence", "undefended", "--defence", "crop-pad"])]) == 0
    results = json.loads((folder / "results.json").read_text())
    rows = {(row["defence"], row["attack"]): row["accuracy"] for row in results["rows"]}
    return rows, results["networks"]["m"]["notes"]


def test_a_network_that_writes_into_its_images_has_the_rows_of_one_that_does_not(tmp_path: Path) -> None:
    plain, _ = evaluated("plain", tmp_path / "plain")
    assert evaluated("gamma", tmp_path / "gamma")[0] == plain
    assert plain["undefended", "clean"] > 80


def test_a_network_that_is_random_in_eval_mode_repeats_and_says_so(tmp_path: Path) -> None:
    first, second = (evaluated("dropping", tmp_path / name) for name in "ab")
    assert first == second
    assert "its answers are random" in first[1][0]


def test_a_network_whose_answers_follow_the_batch_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for size in ("2", "100"):
        assert call([*SMALL, "--model", "networks:by_batches", "--batch-size", size]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert line.startswith("counteract: model networks:by_batches answers otherwise when")
        assert "the accuracy follows the batch size" in line


def test_a_forgotten_standardisation_is_hinted_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = card_of("digits-resnet-mixup")
    mean, std = (",".join(map(str, values)) for values in (card.mean, card.std))
    undefended = ["--defence", "undefended"]
    right, _ = evaluated("standardised", tmp_path / "right", "--mean", mean, "--std", std, *undefended, limit=60)
    assert right["undefended", "clean"] > 80
    assert "guessing" not in capsys.readouterr().out
    wrong, _ = evaluated("standardised", tmp_path / "wrong", *undefended, limit=60)
    assert wrong["undefended", "clean"] < 40
    hint = "little more than by guessing (10.0%): if it was trained on standardised images, give their mean"
    assert hint in " ".join(capsys.readouterr().out.split())


def test_a_network_on_other_data_than_its_card_names_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert call([*SMALL, "--model", "cifar10-resnet18w16-iat"]) == 2
    assert capsys.readouterr().err.strip() == (
        "counteract: model cifar10-resnet18w16-iat was trained on cifar10, as its card says, and the dataset is digits"
        ": name the right one, --dataset cifar10 or a file with its images"
    )


def test_what_is_no_name_is_refused_and_a_path_is_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^name must be that of a model, or a path, found 3$"):
        load_model(3)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="there is no such file"):
        load_model(tmp_path / "none.safetensors")
