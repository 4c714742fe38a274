"""Victims: where they are random, and whether they have a gradient."""

from __future__ import annotations

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract import Counteraction, DefendedModule, GaussianNoise, Hedge, MixupInference, RandomCropPad
from counteract._errors import UserError
from counteract.attacks.victim import has_gradients, randomness, survey_networks, with_gradients
from counteract.whole import WholeModule


def test_where_a_defence_is_random(net: nn.Module, x: Tensor) -> None:
    once, repeated = [Counteraction(net, num_labels=2)], [RandomCropPad()]
    assert randomness(DefendedModule(net), x) == (False, False)
    assert randomness(DefendedModule(net, transforms=repeated), x) == (True, False)
    assert randomness(DefendedModule(net, preprocessing_defences=once), x) == (True, True)
    assert randomness(DefendedModule(net, preprocessing_defences=once, transforms=repeated), x) == (True, True)


def test_answers_that_are_not_numbers_are_no_draws(x: Tensor) -> None:
    class Broken(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.flatten(1)[:, :5] * torch.nan

    assert randomness(DefendedModule(Broken()), x) == (False, False)


def test_of_a_whole_module_nothing_may_be_shared_by_draws(net: nn.Module, x: Tensor) -> None:
    assert randomness(WholeModule(net), x) == (False, False)
    assert randomness(WholeModule(nn.Sequential(nn.Dropout(), net).train()), x) == (True, True)


class Rounded(nn.Module):
    """Sixteen grey levels: a gradient of zero."""

    def forward(self, x: Tensor) -> Tensor:
        return (16 * x).round() / 16


class Detached(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.detach()


def test_gradients(net: nn.Module, x: Tensor) -> None:
    assert has_gradients(net, x)
    assert has_gradients(DefendedModule(net, preprocessing_defences=[Hedge(net, steps=1)]), x)
    assert has_gradients(DefendedModule(net, transforms=[GaussianNoise()]), x)
    assert not has_gradients(nn.Sequential(Rounded(), net), x)
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    assert not has_gradients(nn.Sequential(Detached(), net), x)
    with torch.no_grad():
        assert has_gradients(net, x)
    assert not has_gradients(lambda images: net(images) * torch.nan, x)


def test_images_with_a_gradient_are_told_from_those_without(net: nn.Module, x: Tensor) -> None:
    factors = torch.tensor([1.0, 0.0, torch.nan, torch.inf, -1.0, 1.0]).unsqueeze(1)
    expected = [True, False, False, False, True, True]
    assert with_gradients(lambda images: factors * net(images), x).tolist() == expected
    assert not with_gradients(lambda images: net(images).detach(), x).any()


def test_a_lack_of_memory_is_no_lack_of_a_gradient(x: Tensor) -> None:
    def starved(images: Tensor) -> Tensor:
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        has_gradients(starved, x)


def test_every_network_in_a_defended_one_is_surveyed_once(net: TinyNet, x: Tensor, pool: tuple[Tensor, Tensor]) -> None:
    other = TinyNet().eval().double()
    module = DefendedModule(
        net,
        preprocessing_defences=[Counteraction(net), Hedge(other, steps=1)],
        transforms=[MixupInference(net, *pool), GaussianNoise()],
    )
    assert [found.dtype for found in survey_networks(module, x, 10)] == [torch.float32, torch.float64]
    assert [found.dtype for found in survey_networks(module, x, 10, [net])] == [torch.float64]
    (whole,) = survey_networks(WholeModule(nn.Sequential(net, nn.Softmax(1)).eval(), probabilities=True), x, 10)
    assert whole.classes == 10
    with pytest.raises(UserError, match="model TinyNet has 10 outputs for 3 classes"):
        survey_networks(module, x, 3)
