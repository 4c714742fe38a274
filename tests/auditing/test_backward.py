"""Gradients that are not those of the answers are told from exact ones, whatever the network is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from art.defences.preprocessor import FeatureSqueezing, JpegCompression
from networks import TinyNet
from torch import Tensor, nn

from counteract import AntiAdversary, Counteraction, DefendedModule, GaussianNoise, RandomCropPad, load_model
from counteract.auditing.backward import Backward, look_back, look_through
from counteract.datasets import Dataset
from counteract.whole import Defended, Through, WholeModule, whole_module

Answer = Callable[..., Tensor]


class Whole(nn.Module):
    """A function of images and networks, which it holds, or hides from whoever asks for its parts."""

    def __init__(self, answer: Answer, *networks: nn.Module, hidden: bool = False) -> None:
        super().__init__()
        self.answer = answer
        self.networks: Any = networks if hidden else nn.ModuleList(networks)

    def forward(self, x: Tensor) -> Tensor:
        return self.answer(x, *self.networks)


def robust() -> nn.Module:
    return load_model("digits-resnet-iat").eval()


def mixup() -> nn.Module:
    return load_model("digits-resnet-mixup").eval()


def tiny(seed: int = 1) -> nn.Module:
    net, generator = TinyNet().eval(), torch.Generator().manual_seed(seed)
    for parameter in net.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.5
    return net


def anothers(x: Tensor, net: nn.Module, other: nn.Module) -> Tensor:
    """The answers of one network with the gradient of another."""
    out: Tensor = other(x)
    answers: Tensor = net(x).detach() + out - out.detach()
    return answers


def straight(x: Tensor, net: nn.Module, levels: int = 16) -> Tensor:
    """A quantiser with the identity for a gradient."""
    out: Tensor = net(x + ((x * levels).round() / levels - x).detach())
    return out


def found(defended: nn.Module, digits: Dataset) -> Backward:
    few = digits.take(8)
    module: Defended = (
        defended if isinstance(defended, (DefendedModule, WholeModule)) else whole_module(defended, few.images)
    )
    return look_through(module, few.images, few.labels, torch.arange(8))


@pytest.mark.parametrize(
    ("net", "other", "hidden"),
    [(robust(), mixup(), False), (tiny(), tiny(2), False), (tiny(), tiny(2), True)],
    ids=["trained", "tiny", "hidden"],
)
def test_anothers_gradients_are_found(net: nn.Module, other: nn.Module, hidden: bool, digits: Dataset) -> None:
    """Also where the networks are hidden, so that nothing computes in float64."""
    seen = found(Whole(anothers, net, other, hidden=hidden), digits)
    assert seen.kind == "wrong"
    assert seen.cosine < 0.5


def test_a_wrong_gradient_of_a_network_in_a_stack_is_found(digits: Dataset) -> None:
    wrong = Whole(anothers, tiny(), tiny(2))
    assert found(DefendedModule(wrong, preprocessing_defences=[RandomCropPad()]), digits).kind == "wrong"
    assert found(DefendedModule(wrong, preprocessing_defences=[Counteraction(tiny())]), digits).kind == "wrong"


@pytest.mark.parametrize(
    "answer",
    [
        lambda x, net: net(x),
        lambda x, net: net(x).log_softmax(1),
        lambda x, net: net(x).softmax(1),
        lambda x, net: 1e4 * net(x),
        lambda x, net: net(nn.functional.dropout(x, 0.3)),
        lambda x, net: net((x + 0.1 * torch.randn_like(x)).clamp(0, 1)),
        lambda x, net: net(nn.functional.max_pool2d(x, 3, 1, 1)),
    ],
    ids=["logits", "log-probabilities", "probabilities", "large", "dropout", "noise", "maximum"],
)
@pytest.mark.parametrize("hidden", [False, True])
def test_honest_networks_are_exact(answer: Answer, hidden: bool, digits: Dataset) -> None:
    for net in (mixup(), tiny()):
        seen = found(Whole(answer, net, hidden=hidden), digits)
        assert seen.kind == "exact"
        assert seen.images >= 4
        assert not seen.declared
        assert seen.slope == pytest.approx(1, abs=0.1)


def test_our_own_defences_are_exact_or_say_that_theirs_is_an_estimate(digits: Dataset) -> None:
    net = tiny()
    for defence in (RandomCropPad(), GaussianNoise(0.1), Counteraction(net), AntiAdversary(net)):
        seen = found(DefendedModule(net, preprocessing_defences=[defence]), digits)
        assert (seen.kind, seen.declared) == ("exact", isinstance(defence, (Counteraction, AntiAdversary)))
    several = DefendedModule(net, preprocessing_defences=[Counteraction(net)], transforms=[RandomCropPad()])
    assert found(several, digits).kind == "exact"


def test_arts_preprocessors_declare_an_estimate(digits: Dataset) -> None:
    for defence in (FeatureSqueezing((0, 1), 3), JpegCompression((0, 1), channels_first=True)):
        stack = DefendedModule(tiny(), preprocessing_defences=[defence])
        for part in stack.parts:
            part.look(digits.images[:2])
        assert found(stack, digits).kind == "exact"


def test_the_identity_through_a_quantiser_is_an_estimate(digits: Dataset) -> None:
    seen = found(Whole(straight, robust()), digits)
    assert seen.kind == "estimate"
    assert seen.step > 1e-3


@pytest.mark.parametrize("hidden", [False, True])
def test_an_exact_gradient_of_ripples_is_masked(hidden: bool, digits: Dataset) -> None:
    """They are small beside an attack's steps, and steep."""
    seen = found(Whole(lambda x, net: net(x + 0.02 * (1000 * x).sin()), robust(), hidden=hidden), digits)
    assert seen.kind == "masked"
    assert seen.cosine < 0.4
    assert seen.step > 0.01


def test_the_gradient_of_the_network_under_a_defence_is_seen_for_what_it_is(digits: Dataset) -> None:
    """A network that stands in for another."""
    net, few = tiny(2), digits.take(8)
    through = WholeModule(Through(whole_module(tiny(), few.images), net))
    assert look_back(through, few.images, few.labels, torch.arange(8)).kind == "wrong"


@pytest.mark.parametrize(
    "answer", [lambda x, net: net((8 * x).round() / 8), lambda x, net: net(x.detach()).detach()], ids=["zero", "none"]
)
def test_no_gradient_is_another_finding(answer: Answer, digits: Dataset) -> None:
    assert found(Whole(answer, tiny()), digits).kind == "none"


def test_the_network_and_the_global_generators_are_left_as_they_were(digits: Dataset) -> None:
    net = Whole(lambda x, net: net(nn.functional.dropout(x, 0.3)), tiny()).train()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    found(net, digits)
    assert net.training
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.dtype == torch.float32 and parameter.requires_grad for parameter in net.parameters())
