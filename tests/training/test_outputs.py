"""The two ends of a training: a network that is not trained yet, and files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

from counteract._errors import UserError
from counteract.datasets import ArrayDataset
from counteract.models import load_model
from counteract.models.files import Card
from counteract.models.resnet import ResNet
from counteract.training.outputs import begin_with, build_network, conditions, save_outputs, width_of

CARD = Card(
    architecture="resnet8", width=4, class_names=("a", "b"), mean=(0.5,) * 3, std=(0.5,) * 3, dataset="d",
    method="standard",
)  # fmt: skip


@pytest.fixture
def images() -> ArrayDataset:
    light = torch.rand(8, 3, 6, 6, generator=torch.Generator().manual_seed(0)) * torch.tensor([1, 0.5, 0.1]).view(
        3, 1, 1
    )
    return ArrayDataset("d", light, [0, 1] * 4, ("a", "b"))


def weights(network: ResNet) -> torch.Tensor:
    return network.stem.get_submodule("0").get_parameter("weight")


def test_a_network_is_drawn_by_its_seed_and_nothing_else_is(images: ArrayDataset) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, again, other = (build_network("resnet8", 4, images, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(other))


def test_it_normalises_by_the_images_and_has_their_classes(images: ArrayDataset) -> None:
    network = build_network("resnet8", 4, images, 0)
    std, mean = torch.std_mean(images.images, (0, 2, 3))
    torch.testing.assert_close(network.normalize.mean.flatten(), mean, atol=5e-5, rtol=0)
    torch.testing.assert_close(network.normalize.std.flatten(), std, atol=5e-5, rtol=0)
    assert network.eval()(images.images).shape == (8, 2)


def test_a_channel_that_is_the_same_everywhere_is_divided_by_one(images: ArrayDataset) -> None:
    grey = ArrayDataset("d", images.images * torch.tensor([1, 1, 0]).view(3, 1, 1), [0, 1] * 4, ("a", "b"))
    found = build_network("resnet8", 4, grey, 0).normalize.std.flatten()
    assert found.tolist() == [*build_network("resnet8", 4, images, 0).normalize.std.flatten()[:2].tolist(), 1]


@pytest.mark.parametrize(("width", "channels"), [(4, 4), (None, 16)])
def test_the_width_is_the_users_or_the_architectures_own(
    width: int | None, channels: int, images: ArrayDataset
) -> None:
    assert width_of(build_network("resnet8", width, images, 0)) == channels


def test_an_unknown_architecture_is_told_from_the_known(images: ArrayDataset) -> None:
    with pytest.raises(UserError, match="--arch 'vgg' is not known; known: resnet8, resnet18"):
        build_network("vgg", None, images, 0)


def test_images_of_one_channel_are_refused() -> None:
    grey = ArrayDataset("grey", torch.rand(4, 1, 8, 8), [0, 1, 0, 1], "ab")
    with pytest.raises(UserError, match=r"^--dataset grey has images of 1 channel; these networks take three"):
        build_network("resnet8", 2, grey, 0)


def test_outputs_are_read_back(images: ArrayDataset, tmp_path: Path) -> None:
    network = build_network("resnet8", 4, images, 0)
    save_outputs(tmp_path, network, CARD)
    assert json.loads((tmp_path / "card.json").read_text()) == CARD.model_dump(mode="json")
    loaded = load_model(str(tmp_path / "model.safetensors"))
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in loaded.state_dict().items())
    other = build_network("resnet8", 4, images, 1)
    begin_with(other, tmp_path / "model.safetensors")
    assert torch.equal(weights(other), weights(network))
    with pytest.raises(UserError, match=r"--init .*model\.safetensors holds another network than --arch, --width"):
        begin_with(build_network("resnet8", 8, images, 0), tmp_path / "model.safetensors")


def test_a_duration_is_the_sum_over_epochs() -> None:
    found = conditions(Fabric(accelerator="cpu", devices=1), [{"seconds": 1.3}, {"seconds": 2.4}])
    assert (found["seconds"], found["processes"], found["torch"]) == (4, 1, str(torch.__version__))
    assert "CPU" in str(found["device"])


def test_a_network_that_memory_does_not_hold_is_not_made(images: ArrayDataset) -> None:
    for width in (10**6, 10**12, 10**25):
        with pytest.raises(UserError, match=f"--width {width}: the weights of such a network take more than half"):
            build_network("resnet8", width, images, 0)
