"""The survey of a network: random, without gradients, or neither; it is left as it was found."""

from __future__ import annotations

import copy

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract import DefendedModule, RandomCropPad
from counteract.evaluation.survey import probe_images, survey

IMAGES = torch.rand(2, 3, 32, 32)


class Rounding(TinyNet):
    """A network behind a rounding, whose gradient is zero."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward((8 * x).round() / 8)


class Detached(TinyNet):
    """A network without any gradient."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.detach()).detach()


class Writing(TinyNet):
    """A network that writes into its input."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.sub_(0.5))


@pytest.mark.parametrize(
    ("network", "gradients"), [(TinyNet(), True), (Rounding(), False), (Detached(), False), (Writing(), True)]
)
def test_gradients(network: nn.Module, gradients: bool) -> None:
    found = survey(network.eval(), "net", IMAGES, 10)
    assert found.gradients == gradients
    assert (found.classes, found.unkeyed, found.repeatable) == (10, False, True)
    assert any("no useful gradient" in note for note in found.notes()) != gradients


def test_the_network_and_the_images_are_left_as_they_were() -> None:
    network = Writing().train()
    network.norm.eval()
    before, images = copy.deepcopy(network.state_dict()), IMAGES.clone()
    survey(network, "net", images, 10)
    assert torch.equal(images, IMAGES)
    assert (network.training, network.norm.training) == (True, False)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())


def test_probe_images_are_fixed_images() -> None:
    images = probe_images((1, 7, 9))
    assert images.shape == (8, 1, 7, 9)
    assert 0 <= float(images.min()) < float(images.max()) <= 1
    assert torch.equal(images, probe_images((1, 7, 9)))


def test_a_network_of_other_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="model net has 10 outputs for 3 classes"):
        survey(TinyNet().eval(), "net", IMAGES, 3)


def test_a_network_that_is_defended_already_is_refused() -> None:
    defended = DefendedModule(TinyNet().eval(), transforms=[RandomCropPad()], executions=2)
    with pytest.raises(ValueError, match="model net is defended already, by RandomCropPad: name the"):
        survey(nn.Sequential(defended), "net", IMAGES, 10)
