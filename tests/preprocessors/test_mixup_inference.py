"""Mixup inference against its definition."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import Dark
from torch import Tensor, nn

from counteract import MixupInference
from counteract._network import dtype_of
from counteract.datasets import Dataset, load_dataset


class Counted:
    """A dataset that counts the images it is asked for."""

    def __init__(self, whole: Dataset) -> None:
        self.whole, self.labels = whole, whole.labels
        self.asked: list[int] = []

    def read(self, rows: Tensor) -> Tensor:
        self.asked.append(len(rows))
        return self.whole.read(rows)


def test_classes_then_images_are_drawn_uniformly(net: nn.Module, x: Tensor) -> None:
    labels = torch.tensor([3] * 7 + [5] + [8] * 2 + [0] * 10)
    images = torch.rand(20, 3, 32, 32)
    defence = MixupInference(net, images, labels)
    drawn = defence.draw(torch.arange(9000), x[:1], torch.full((9000,), 5))
    chosen = labels[drawn]
    assert set(chosen.tolist()) == {0, 3, 8}
    for label, count in ((0, 10), (3, 7), (8, 2)):
        assert (chosen == label).float().mean() == pytest.approx(1 / 3, abs=0.02)
        within = torch.bincount(drawn[chosen == label], minlength=20)[labels == label] / (chosen == label).sum()
        assert (within - 1 / count).abs().max() < 0.03


@pytest.mark.parametrize("predicted", [0, 3, 4, 9])
def test_never_the_predicted_class_whether_the_pool_has_it_or_not(net: nn.Module, x: Tensor, predicted: int) -> None:
    labels = torch.tensor([0, 3, 3, 8, 9])
    defence = MixupInference(net, torch.rand(5, 3, 32, 32), labels)
    chosen = labels[defence.draw(torch.arange(500), x[:1], torch.full((500,), predicted))]
    assert set(chosen.tolist()) == {0, 3, 8, 9} - {predicted}


def test_without_a_prediction_every_class_is_drawn(x: Tensor) -> None:
    labels, dark = torch.tensor([0, 3, 3, 8]), torch.full((1, 3, 32, 32), 0.1)
    defence = MixupInference(Dark().eval(), torch.rand(4, 3, 32, 32), labels)
    assert defence.prepare(torch.cat([dark, x[:1]]))[0] == -1
    chosen = labels[defence.draw(torch.arange(500), dark.expand(500, -1, -1, -1), None)]
    assert set(chosen.tolist()) == {0, 3, 8}


def test_it_mixes_with_its_weight_on_the_input(net: nn.Module, x: Tensor, pool: tuple[Tensor, Tensor]) -> None:
    defence = MixupInference(net, *pool, weight=0.6)
    index = torch.tensor([5, 0, 3, 3, 59, 1])
    torch.testing.assert_close(defence.apply(x, index), 0.6 * x + 0.4 * pool[0][index])


def test_the_prediction_is_that_of_the_received_input(net: nn.Module, x: Tensor, pool: tuple[Tensor, Tensor]) -> None:
    defence = MixupInference(net, *pool, batch_size=2)
    assert torch.equal(defence.prepare(x), net(x).argmax(1))
    keys = torch.arange(300)
    drawn = defence.draw(keys, x[:1].expand(300, -1, -1, -1), None)
    assert not (pool[1][drawn] == net(x[:1]).argmax(1)).any()


def test_arrays_will_do_for_a_pool(net: nn.Module, x: Tensor, pool: tuple[Tensor, Tensor]) -> None:
    images, labels = (part.numpy() for part in pool)
    expected, _ = MixupInference(net, *pool, seed=1).forward(x)
    for given in (labels.astype(np.int32), np.eye(10)[labels], np.eye(10, dtype=np.int32)[labels]):
        found, _ = MixupInference(net, images.astype(np.float64), given, seed=1).forward(x)
        assert torch.equal(found, expected)


def test_a_dataset_is_read_by_index(net: nn.Module, x: Tensor, tmp_path: Path, digits: Dataset) -> None:
    """Only the images that are drawn are asked for, and the draws are those of the same pool in memory."""
    pixels = (digits.take(60).images * 255).byte().permute(0, 2, 3, 1).numpy()
    np.savez(tmp_path / "pool.npz", images=pixels, labels=digits.labels[:60].numpy(), class_names=digits.class_names)
    data = Counted(load_dataset(str(tmp_path / "pool.npz")))
    for network in (net, copy.deepcopy(net).double()):
        inputs = x.to(dtype_of(network))
        expected, _ = MixupInference(network, data.whole.images, data.labels, seed=1).forward(inputs)
        found, _ = MixupInference(network, data, seed=1).forward(inputs)
        assert torch.equal(found, expected)
    assert data.asked == [len(x), len(x)]


def test_a_datasets_labels_may_be_others(net: nn.Module, x: Tensor, digits: Dataset) -> None:
    labels = digits.labels.flip(0)
    expected, _ = MixupInference(net, digits.images, labels, seed=1).forward(x)
    assert torch.equal(MixupInference(net, digits, labels, seed=1).forward(x)[0], expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": torch.empty(0, 3, 32, 32), "labels": torch.empty(0, dtype=torch.long)}, "found an empty pool"),
        ({"labels": torch.full((60,), 4)}, "two classes to mix with, found only 4"),
        ({"labels": torch.arange(59)}, r"labels must be 60 integers.*\(59,\)"),
        ({"labels": None}, "labels must be given with images that are a tensor"),
        ({"labels": torch.arange(60.0)}, "labels must be 60 integers"),
        ({"images": torch.full((60, 3, 32, 32), 255)}, "images has pixels outside clip_values"),
        ({"weight": 1.5}, "weight must be a number from 0 to 1"),
    ],
)
def test_wrong_pools(net: nn.Module, pool: tuple[Tensor, Tensor], change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MixupInference(net, **({"images": pool[0], "labels": pool[1]} | change))


def test_a_pool_of_another_shape(net: nn.Module, x: Tensor, pool: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(ValueError, match=r"images must have the shape of x, \(3, 32, 32\); found \(3, 16, 16\)"):
        MixupInference(net, pool[0][:, :, ::2, ::2], pool[1]).forward(x)
