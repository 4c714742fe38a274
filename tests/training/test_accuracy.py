"""Accuracy while training: counts and intervals on a network whose answers are known."""

from __future__ import annotations

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from counteract._statistics import wilson
from counteract.datasets import ArrayDataset
from counteract.training import accuracy
from counteract.training.accuracy import count_correct


class Brightness(nn.Module):
    """Answers 1 for an image brighter than one half."""

    def forward(self, x: Tensor) -> Tensor:
        light = x.mean((1, 2, 3))
        return torch.stack([0.5 - light, light - 0.5], 1)


@pytest.fixture
def fabric() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


def images(count: int = 600) -> ArrayDataset:
    """Two of three images far from one half, every third within 2/255 of it; a tenth of each kind has a wrong label."""
    light = torch.tensor([0.2, 0.8, 0.5 + 1 / 255]).repeat(count // 3)
    labels = (light > 0.5).long()
    labels[: count // 10] = 1 - labels[: count // 10]
    return ArrayDataset("grey", light.view(-1, 1, 1, 1).expand(-1, 1, 4, 4), labels, ("dark", "bright"))


def test_correct_answers_are_counted_over_all_batches(fabric: Fabric) -> None:
    assert count_correct(fabric, Brightness(), images()) == 540


def test_an_attack_turns_what_is_near_the_boundary(fabric: Fabric) -> None:
    """Whoever is near it is wrong under attack, if the label is right; with a wrong label it can only stay wrong."""
    assert count_correct(fabric, Brightness(), images(), eps=2 / 255, steps=5) == 360
    assert count_correct(fabric, Brightness(), images(), eps=0.5 / 255, steps=5) == 540


def test_every_process_counts_its_share_once(fabric: Fabric, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []
    for rank in range(7):
        monkeypatch.setattr(Fabric, "global_rank", rank)
        monkeypatch.setattr(Fabric, "world_size", 7)
        counted.append(count_correct(fabric, Brightness(), images()))
    assert sum(counted) == 540
    assert max(counted) <= 86


def test_accuracies_are_percent_with_their_intervals(fabric: Fabric) -> None:
    found = accuracy.test_accuracy(fabric, Brightness(), images(), eps=2)
    assert list(found) == ["n", "eps", "clean", "clean_low", "clean_high", "pgd20", "pgd20_low", "pgd20_high"]
    assert [found[name] for name in ("n", "eps", "clean", "pgd20")] == [600, 2, 90, 60]
    for name, correct in (("clean", 540), ("pgd20", 360)):
        interval = [100 * bound for bound in wilson(correct, 600)]
        assert [found[f"{name}_low"], found[f"{name}_high"]] == pytest.approx(interval, abs=0.005)
