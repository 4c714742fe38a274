"""Smooth counterparts: the same answers, and derivatives that finite differences confirm."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from networks import Dark, TinyNet
from torch import Tensor, nn

from counteract import AntiAdversary, Counteraction, DefendedModule, EnergyDescent, Hedge
from counteract import TestTimeCounterattack as Counterattack

KEYS = torch.arange(6)


def parts(net: nn.Module) -> dict[str, Any]:
    return {
        "counteraction": Counteraction(net, eps=0.05, eps_step=0.02, num_labels=3),
        "sign-of-sum": Counteraction(net, eps=0.05, eps_step=0.02, num_labels=3, combine="sign-of-sum"),
        "in steps": Counteraction(net, eps=0.05, eps_step=0.02, num_labels=3, steps=2),
        "hedge": Hedge(net, eps=0.05, eps_step=0.02, steps=2),
        "anti-adversary": AntiAdversary(net, eps_step=0.02),
        "counterattack": Counterattack(net, eps=0.05, eps_step=0.02, tau=0.05),
        "energy": EnergyDescent(net, eps=0.9, eps_step=0.7, steps=2),
    }


NAMES = ["counteraction", "sign-of-sum", "in steps", "hedge", "anti-adversary", "counterattack", "energy"]


@pytest.mark.parametrize("name", NAMES)
def test_smooth_answers_alike_and_differentiates_differently(name: str, net: TinyNet, x: Tensor) -> None:
    module = DefendedModule(net, preprocessing_defences=[parts(net)[name]])
    surrogate = DefendedModule(net, preprocessing_defences=[parts(net)[name].smooth()])
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


@pytest.mark.parametrize("name", NAMES)
def test_the_smooth_derivative_against_finite_differences(name: str, net: TinyNet, x: Tensor) -> None:
    net, x = net.double(), x.double()
    defence = parts(net)[name]
    drawn = defence.draw(KEYS, x, None)
    weights, direction = torch.randn(2, *x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def weighted(images: Tensor) -> Tensor:
        found: Tensor = (defence.smooth_perturbation(images, drawn) * weights).sum()
        return found

    points = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(weighted(points), points)
    step = 1e-6 * direction
    ahead, behind = ((weighted((x + sign * step).requires_grad_())).detach() for sign in (1, -1))
    assert float((gradient * direction).sum()) == pytest.approx(float(ahead - behind) / 2e-6, rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_smooth_answers_alike_where_the_defences_network_has_no_answer(name: str, net: TinyNet, x: Tensor) -> None:
    part = parts(Dark().eval())[name]
    module = DefendedModule(net, preprocessing_defences=[part], clip_values=None)
    points = torch.cat([x[:5], torch.full((1, 3, 32, 32), 0.1)]).requires_grad_()
    answer = DefendedModule(net, preprocessing_defences=[part.smooth()], clip_values=None)(points, KEYS)
    torch.testing.assert_close(answer, module(points, KEYS))
    assert answer.isfinite().all()
