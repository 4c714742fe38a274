"""Weight files: what is written comes back, and what is not ours is refused without unpickling anything."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from counteract.models import ARCHITECTURES, Card, load_model, load_network, read_card, save_network, shipped_models

CARD = Card(
    architecture="resnet8",
    width=4,
    class_names=("a", "b"),
    mean=(0.5,) * 3,
    std=(0.2,) * 3,
    dataset="mine",
    method="mixup",
)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = CARD.build()
    network(torch.rand(8, 3, 32, 32))  # moves BatchNorm's statistics
    save_network(network, CARD, tmp_path / "net.safetensors")
    torch.save(network.eval()(torch.ones(1, 3, 32, 32)).detach(), tmp_path / "logits.pt")
    return tmp_path / "net.safetensors"


def test_a_round_trip(saved: Path) -> None:
    assert read_card(saved) == CARD
    network = load_network(saved)
    assert not network.training
    expected = torch.load(saved.with_name("logits.pt"), weights_only=True)
    assert torch.equal(network(torch.ones(1, 3, 32, 32)), expected)
    assert torch.equal(load_model(str(saved))(torch.ones(1, 3, 32, 32)), expected)
    assert {path.name for path in saved.parent.iterdir()} == {"net.safetensors", "logits.pt"}


def test_files_that_are_not_ours(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.safetensors"):
        load_network(tmp_path / "none.safetensors")
    torch.save({"w": torch.ones(1)}, tmp_path / "pickle.safetensors")
    with pytest.raises(ValueError, match="cannot be read"):
        load_network(tmp_path / "pickle.safetensors")
    save_file({"w": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="carry no card"):
        load_network(tmp_path / "other.safetensors")
    save_file({"w": torch.ones(1)}, tmp_path / "damaged.safetensors", metadata={"counteract": "{}"})
    with pytest.raises(ValueError, match="damaged card"):
        load_network(tmp_path / "damaged.safetensors")


def test_a_truncated_file(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(ValueError, match="cannot be read"):
        load_network(saved)


def test_weights_that_do_not_fit_their_card(tmp_path: Path) -> None:
    wide = ARCHITECTURES["resnet8"](num_classes=2, mean=CARD.mean, std=CARD.std, width=8)
    save_network(wide, CARD, tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match="do not fit the resnet8"):
        load_network(tmp_path / "net.safetensors")


def test_an_unknown_architecture() -> None:
    with pytest.raises(ValueError, match="architecture 'vgg' is not known"):
        CARD.model_copy(update={"architecture": "vgg"}).build()


def test_every_shipped_network_loads_and_says_how_it_was_made() -> None:
    assert "digits-resnet-mixup" in shipped_models()
    for name in shipped_models():
        network = load_model(name)
        assert not network.training
        assert torch.isfinite(network(torch.rand(2, 3, 32, 32))).all()


RECIPE = {"name": "fast", "epochs": 15, "attack_steps": 2, "attack_eps": 8.0}


@pytest.mark.parametrize(
    ("method", "recipe", "words"),
    [
        ("iat", RECIPE, "iat by fast, 15 epochs, PGD-2 within 8/255"),
        ("mixup", RECIPE, "mixup by fast, 15 epochs"),
        (
            "adversarial",
            RECIPE | {"name": "mine", "attack_eps": 7.5, "init": RECIPE | {"stopped_after_epoch": 11}},
            "adversarial by mine, 15 epochs, PGD-2 within 7.5/255, after fast, 11 of 15 epochs, PGD-2 within 8/255",
        ),
        ("standard", {}, "standard"),
        ("iat", RECIPE | {"attack_eps": "wide"}, "iat"),
    ],
)
def test_a_card_tells_its_training(method: str, recipe: dict[str, Any], words: str) -> None:
    assert CARD.model_copy(update={"method": method, "recipe": recipe}).training == words


def carded(folder: Path, **changes: Any) -> Path:
    """A weight file whose card says something else than its weights."""
    path = folder / "carded.safetensors"
    save_file(dict(CARD.build().state_dict()), path, {"counteract": json.dumps(CARD.model_dump() | changes)})
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"width": 0}, "damaged card: width"),
        ({"width": 2.5}, "damaged card: width"),
        ({"width": 10**9}, "do not fit the resnet8"),
        ({"width": 10**30}, "(do not fit the resnet8|damaged card)"),
        ({"class_names": []}, "damaged card: class_names"),
        ({"class_names": ["a"]}, "do not fit the resnet8"),
        ({"mean": [float("nan")] * 3}, r"damaged card: mean\.0"),
        ({"std": [0.0] * 3}, "damaged card: mean and std need one value per channel"),
        ({"std": [float("inf")] * 3}, r"damaged card: std\.0"),
        ({"mean": [0.5]}, "damaged card: mean"),
        ({"architecture": "vgg"}, "damaged card: architecture 'vgg' is not known"),
        ({"more": 1}, "damaged card: more"),
    ],
)
def test_a_card_that_says_something_else_takes_no_memory(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words) as found:
        load_network(carded(tmp_path, **changes))
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, "", "null", '"\\ud800"'])
def test_a_card_that_is_no_card_is_one_line(text: str, tmp_path: Path) -> None:
    save_file({"w": torch.ones(1)}, tmp_path / "odd.safetensors", {"counteract": text})
    with pytest.raises(ValueError, match=r"odd\.safetensors carry a damaged card"):
        load_network(tmp_path / "odd.safetensors")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(ValueError, match="there is no such file"):
        load_network(tmp_path / "pipe.safetensors")


def test_loading_draws_nothing_from_the_callers_generator(saved: Path) -> None:
    before = torch.get_rng_state()
    load_network(saved)
    assert torch.equal(torch.get_rng_state(), before)
