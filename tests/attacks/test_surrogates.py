"""Surrogates of defended networks: what they answer, and what they differentiate."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from networks import Dark, TinyNet
from torch import Tensor, nn

from counteract import AntiAdversary, Counteraction, DefendedModule, GaussianNoise, Hedge
from counteract.attacks.surrogates import cheap, no_cheap, no_smooth, rebuilt, smooth, smooth_perturbation, turned
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


@pytest.mark.parametrize("name", ["counteraction", "sign-of-sum", "in steps", "hedge", "anti-adversary"])
def test_smooth_answers_alike_and_differentiates_differently(name: str, net: TinyNet, x: Tensor) -> None:
    module = DefendedModule(net, preprocessing_defences=[parts(net)[name]])
    surrogate = smooth(module)
    gradients = []
    for each in (module, surrogate):
        points = x.clone().requires_grad_()
        answer = each(points, KEYS)
        torch.testing.assert_close(answer, module(x, KEYS))
        gradients.append(torch.autograd.grad(F.cross_entropy(answer, KEYS, reduction="sum"), points)[0])
    straight, through = (gradient.flatten(1) for gradient in gradients)
    assert through.isfinite().all()
    assert (F.cosine_similarity(straight, through) < 0.9999).all()
    with torch.no_grad():
        torch.testing.assert_close(surrogate(x, KEYS), module(x, KEYS))


@pytest.mark.parametrize("name", ["counteraction", "sign-of-sum", "in steps", "hedge", "anti-adversary"])
def test_smooth_answers_alike_where_the_defences_network_has_no_answer(name: str, net: TinyNet, x: Tensor) -> None:
    module = DefendedModule(net, preprocessing_defences=[parts(Dark().eval())[name]], clip_values=None)
    points = torch.cat([x[:5], torch.full((1, 3, 32, 32), 0.1)]).requires_grad_()
    answer = smooth(module)(points, KEYS)
    torch.testing.assert_close(answer, module(points, KEYS))
    assert answer.isfinite().all()


@pytest.mark.parametrize("name", ["counteraction", "sign-of-sum", "in steps", "hedge", "anti-adversary"])
def test_the_smooth_derivative_against_finite_differences(name: str, net: TinyNet, x: Tensor) -> None:
    net, x = net.double(), x.double()
    defence = parts(net)[name]
    drawn = defence.draw(KEYS, x, None)
    weights, direction = torch.randn(2, *x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def weighted(images: Tensor) -> Tensor:
        found: Tensor = (smooth_perturbation(defence, images, drawn) * weights).sum()
        return found

    points = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(weighted(points), points)
    step = 1e-6 * direction
    ahead, behind = ((weighted((x + sign * step).requires_grad_())).detach() for sign in (1, -1))
    assert float((gradient * direction).sum()) == pytest.approx(float(ahead - behind) / 2e-6, rel=1e-3)


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


def test_a_whole_module_has_no_surrogates(net: TinyNet) -> None:
    module = WholeModule(net)
    assert rebuilt(module, executions=7) is module
    assert turned(module) is None
    for reason in (no_smooth(module), no_cheap(module)):
        assert reason is not None
        assert "a whole module cannot be taken apart" in reason


def test_a_defence_of_a_strangers_own_has_no_smooth_surrogate_unless_one_is_registered(net: TinyNet) -> None:
    class Own(FirstOrderPreprocessor[None]):
        def draw(self, keys: Tensor, x: Tensor, prepared: Tensor | None) -> None:
            return None

        def perturbation(self, x: Tensor, parameters: None) -> Tensor:
            return 0 * x

    module = DefendedModule(net, preprocessing_defences=[Own(net)])
    assert no_smooth(module) == "it needs a smooth surrogate of the defence, and none is registered for Own"
    smooth_perturbation.register(Own)(lambda defence, x, parameters: 0 * x)
    assert no_smooth(module) is None
    assert all(no_smooth(DefendedModule(net, preprocessing_defences=[part])) is None for part in parts(net).values())
