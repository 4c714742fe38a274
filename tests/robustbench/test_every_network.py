"""Every CIFAR network of RobustBench's zoo: built, saved in its layout, loaded back, counteracted with on two images.

The default is one network of each kind; `pytest -m zoo` runs all of them.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from torch import Tensor
from zoo import write_checkpoints

from counteract import Counteraction, load_model
from counteract._errors import UserError
from counteract.models import LogProbabilities
from counteract.models.checks import probe
from counteract.robustbench.zoo import PREFIX
from counteract.robustbench.zoo import zoo as list_zoo

KINDS = {
    "cifar10/Linf/Wong2020Fast": "pre-activation ResNet, constants as buffers",
    "cifar10/Linf/Rade2021Helper_R18_extra": "constants as plain attributes",
    "cifar10/Linf/Chen2020Adversarial": "an ensemble in three files, which returns probabilities",
    "cifar10/Linf/Debenedetti2022Light_XCiT-S12": "of timm, without an address of RobustBench's",
    "cifar10/L2/Engstrom2019Robustness": "ResNet-50",
    "cifar10/corruptions/Hendrycks2020AugMix_ResNeXt": "ResNeXt",
    "cifar100/Linf/Debenedetti2022Light_XCiT-S12": "of timm, 100 classes",
    "cifar100/corruptions/Modas2021PRIMEResNet18": "ResNet-18, 100 classes",
    "cifar10/corruptions/Diffenderfer2021Winning_Binary": "binary weights",
}
"""A small network of each kind, and what is special about it."""

PROBABILITIES = {
    "cifar10/Linf/Chen2020Adversarial",
    "cifar10/corruptions/Diffenderfer2021Winning_LRR_CARD_Deck",
    "cifar10/corruptions/Diffenderfer2021Winning_Binary_CARD_Deck",
    "cifar100/corruptions/Diffenderfer2021Winning_LRR_CARD_Deck",
    "cifar100/corruptions/Diffenderfer2021Winning_Binary_CARD_Deck",
}
"""The ensembles that return averaged probabilities."""

NORMALISES_ITSELF = "cifar10/Linf/Pang2020Boosting"
"""Its forward pass sets its last layer's weights to unit length; doing so again changes nothing."""


def every() -> list[str]:
    """The names of all CIFAR networks; none where RobustBench is not installed."""
    try:
        return [entry.full_name.removeprefix(PREFIX) for entry in list_zoo() if entry.dataset != "imagenet"]
    except UserError:
        return []


def sweep(zoo: Any, name: str, model_dir: Path) -> None:
    """Takes a network through all of it."""
    written = write_checkpoints(zoo, name, model_dir)
    network = load_model(f"robustbench:{name}", model_dir=model_dir)
    assert isinstance(network, LogProbabilities) == (name in PROBABILITIES)
    inner = network.model if isinstance(network, LogProbabilities) else network
    assert not any(isinstance(value, Tensor) for module in network.modules() for value in vars(module).values())
    images = probe((3, 32, 32))
    if name == NORMALISES_ITSELF:
        with torch.no_grad():
            written.eval()(images)
    own, its = written.state_dict(), inner.state_dict()
    assert own.keys() == its.keys()
    assert all(torch.equal(value, its[key]) for key, value in own.items())
    with torch.no_grad():
        logits = network(images)
        torch.testing.assert_close(network(images), logits)  # nothing is random
    assert logits.shape == (2, 100 if name.startswith("cifar100") else 10)
    moved, _ = Counteraction(network, num_labels=2, combine="sign-of-sum", seed=0)(images.numpy())
    assert moved.shape == images.shape
    assert 0 < abs(moved - images.numpy()).max() <= 8 / 255 + 1e-6


@pytest.mark.parametrize("name", KINDS)
def test_one_network_of_each_kind(zoo: Any, tmp_path: Path, name: str) -> None:
    sweep(zoo, name, tmp_path)


@pytest.mark.zoo
@pytest.mark.parametrize("name", every())
def test_every_network(zoo: Any, name: str) -> None:
    with TemporaryDirectory() as folder:  # up to 2 GB, which pytest's own would keep
        sweep(zoo, name, Path(folder))


def test_the_list_is_that_of_the_zoo(zoo: Any) -> None:
    defined = zoo._dictionaries()
    expected = [
        f"{dataset}/{threat}/{name}"
        for dataset in ("cifar10", "cifar100")
        for threat, models in defined[dataset].items()
        for name in models
    ]
    assert sorted(every()) == sorted(expected)
    assert len(expected) == 164
    assert set(KINDS) | PROBABILITIES <= set(every())
