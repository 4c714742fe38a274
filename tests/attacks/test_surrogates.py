"""Surrogates of defended networks: what they answer, and what they differentiate."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract import AntiAdversary, Counteraction, DefendedModule, GaussianNoise, Hedge
from counteract._errors import UserError
from counteract.attacks import ThreatModel
from counteract.attacks.surrogates import Around, cheap, no_cheap, no_smooth, rebuilt, smooth, turned
from counteract.preprocessors.first_order import FirstOrderPreprocessor
from counteract.whole import WholeModule

KEYS = torch.arange(6)


def parts(net: nn.Module) -> dict[str, Any]:
    return {
        "counteraction": Counteraction(net, eps=0.05, eps_step=0.02, num_labels=3),
        "sign-of-sum": Counteraction(net, eps=0.05, eps_step=0.02, num_labels=3, combine="sign-of-sum"),
        "in steps": Counteraction(net, eps=0.05, eps_step=0.02, num_labels=3, steps=2),
        "hedge": Hedge(net, eps=0.05, eps_step=0.02, steps=2),
        "anti-adversary": AntiAdversary(net, eps_step=0.02),
    }


def test_a_cheap_surrogate_has_fewer_executions_and_steps(net: TinyNet) -> None:
    module = DefendedModule(
        net, preprocessing_defences=[Hedge(net, steps=20)], transforms=[GaussianNoise()], executions=50
    )
    found = cheap(module, 4)
    assert isinstance(found, DefendedModule)
    assert (found.executions, found.preprocessing_defences[0].steps) == (4, 4)
    assert cheap(DefendedModule(net), 4).executions == 1


def test_turned(net: TinyNet, x: Tensor) -> None:
    defence = Counteraction(net, num_labels=2, steps=2, eps=0.04, eps_step=0.01)
    module = DefendedModule(net, preprocessing_defences=[defence], clip_values=None)
    other = turned(module)
    assert isinstance(other, DefendedModule)
    given, found = (each.preprocessing_defences[0].sample(x, KEYS) for each in (module, other))
    assert other.preprocessing_defences[0].targeted is False
    assert other.preprocessing_defences[0].steps == 2
    away = Counteraction(net, num_labels=2, steps=2, eps=0.04, eps_step=0.01, targeted=False).sample(x, KEYS)
    torch.testing.assert_close(found, away)
    assert not torch.equal(given, found)
    assert turned(DefendedModule(net, transforms=[GaussianNoise()])) is None


def test_a_whole_module_has_the_surrogates_that_it_offers(net: TinyNet, x: Tensor) -> None:
    module = WholeModule(net)
    assert rebuilt(module, executions=7) is module
    assert turned(module) is None
    assert no_smooth(module) == "the module has no method smooth, and without its surrogate this is bpda-apgd-cw"
    assert "with_fewer_steps" in str(no_cheap(module))

    class Own(nn.Module):
        def __init__(self, scale: float = 1.0) -> None:
            super().__init__()
            self.net, self.scale = net, scale

        def forward(self, images: Tensor) -> Tensor:
            found: Tensor = self.net(images) * self.scale
            return found

        def smooth(self) -> Own:
            return Own(2.0)

        def reversed(self) -> Own:
            return Own(-1.0)

        def with_fewer_steps(self, steps: int) -> Own:
            return Own(float(steps))

    own = WholeModule(Own())
    assert no_smooth(own) is None
    assert no_cheap(own) is None
    for found, scale in ((smooth(own), 2), (cheap(own, 3), 3), (turned(own), -1)):
        assert found is not None
        torch.testing.assert_close(found(x), (net(x) * scale).log_softmax(1))


def test_a_method_of_the_same_name_that_is_no_surrogate_is_not_one(net: TinyNet) -> None:
    class Odd(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            found: Tensor = net(images)
            return found

        def smooth(self, images: Tensor) -> Tensor:
            return images

    assert no_smooth(WholeModule(Odd())) is not None


def test_a_part_without_a_smooth_surrogate_is_differentiated_as_it_is_and_says_so(net: TinyNet, x: Tensor) -> None:
    class Own(FirstOrderPreprocessor[None]):
        def draw(self, keys: Tensor, x: Tensor, prepared: Tensor | None) -> None:
            return None

        def perturbation(self, x: Tensor, parameters: None) -> Tensor:
            return 0 * x

    module = DefendedModule(net, preprocessing_defences=[Own(net)])
    assert no_smooth(module) is None
    assert Own(net).describe() == "no smooth surrogate: BPDA alone"
    points = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(smooth(module)(points)[:, 0].sum(), points)
    (wanted,) = torch.autograd.grad(net(points).log_softmax(1)[:, 0].sum(), points)
    torch.testing.assert_close(found, wanted)
    assert all("surrogate" not in part.describe() for part in parts(net).values())


def test_gradients_around_an_image_are_their_mean_there(net: TinyNet, x: Tensor) -> None:
    """The answers are exact; of a function with jumps the mean gradient sees the slope that each point hides."""
    module = DefendedModule(net)
    averaged = Around(module, ThreatModel(eps=0.05), 3)
    torch.testing.assert_close(averaged(x, KEYS), module(x, KEYS))
    points = x.clone().requires_grad_()
    torch.testing.assert_close(averaged(points, KEYS), module(x, KEYS))

    def steps(images: Tensor, keys: Tensor) -> Tensor:
        """A slope of one on the upper half of each step, and of none below."""
        del keys
        return torch.where((20 * images) % 1 > 0.5, images, images.detach()).flatten(1)

    (slope,) = torch.autograd.grad(Around(steps, ThreatModel(eps=0.05), 40)(points, KEYS).sum(), points)
    (alone,) = torch.autograd.grad(steps(points, KEYS).sum(), points)
    assert set(alone.unique().tolist()) == {0.0, 1.0}
    inner = slope[(x > 0.1) & (x < 0.9)]
    assert ((inner > 0.2) & (inner < 0.8)).float().mean() > 0.99


def test_those_of_a_subclass_are_of_its_class(net: TinyNet) -> None:
    class Mine(Counteraction):
        """A variant of somebody's."""

    class Slow(Hedge):
        """Another one."""

    assert type(Mine(net).reversed()) is Mine
    assert Mine(net).reversed().targeted is False
    assert type(Slow(net, steps=20).with_fewer_steps(4)) is Slow


def test_a_surrogate_that_fails_is_said_and_another_method_of_its_name_is_none(net: TinyNet) -> None:
    class Failing(GaussianNoise):
        def smooth(self) -> GaussianNoise:
            raise TypeError("a slip of the author's")

    class Another(nn.Module):
        def smooth(self, images: Tensor) -> Tensor:
            return images

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = net(x)
            return out

    with pytest.raises(UserError, match="method smooth of Failing failed with TypeError: a slip of the author's"):
        smooth(DefendedModule(net, transforms=[Failing()]))
    assert no_smooth(WholeModule(Another())) is not None


def test_the_graphs_of_a_neighbourhood_are_counted(net: TinyNet) -> None:
    module = DefendedModule(net, transforms=[GaussianNoise()], executions=5)
    assert Around(module, ThreatModel(), 8).executions == 40
