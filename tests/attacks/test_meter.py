"""The meter: every row of every pass counts, forwards and backwards, whoever asks."""

from __future__ import annotations

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract import Counteraction, DefendedModule, RandomCropPad
from counteract.attacks import AttackPreset, ThreatModel, Victim, find_attack
from counteract.attacks.meter import metered
from counteract.defences import forward_passes

PRESET = AttackPreset.model_validate({"preset": "quick", "steps": 3, "queries": 7, "draws": 1, "restarts": 1})


def test_rows_are_counted_forwards_and_backwards(net: TinyNet, x: Tensor) -> None:
    with metered(net) as meter:
        with torch.no_grad():
            net(x)
        assert meter.passes == 6
        points = x[:4].clone().requires_grad_()
        scores = net(points)
        assert meter.passes == 6 + 4
        for last in (False, True):
            torch.autograd.grad(scores.sum(), points, retain_graph=not last)
        assert meter.passes == 6 + 4 + 2 * 4
    net(x)
    assert meter.passes == 18


def test_what_is_no_tensor_is_counted_forwards(x: Tensor) -> None:
    class Tuple(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, None]:
            return x, None

    module = Tuple()
    with metered(module) as meter:
        module(x.requires_grad_())
    assert meter.passes == 6


def test_several_networks_are_counted_together(x: Tensor) -> None:
    one, other = TinyNet(), TinyNet()
    with metered(one, other) as meter:
        one(x), other(x)
    assert meter.passes == 12


def test_a_defended_prediction_costs_what_it_is_said_to(net: TinyNet, x: Tensor) -> None:
    before = [Counteraction(net, num_labels=3)]
    defended = DefendedModule(net, preprocessing_defences=before, transforms=[RandomCropPad()], executions=5)
    defended(x, torch.arange(6))  # which asks once for the number of classes
    with metered(net) as meter:
        defended(x, torch.arange(6))
    assert meter.passes == 6 * forward_passes(defended)


@pytest.mark.parametrize(
    ("name", "passes"), [("clean", 0), ("noise", 0), ("pgd3", 6), ("apgd-ce", 8), ("bpda-pgd", 18), ("square", 7)]
)
def test_attacks_cost_what_their_steps_and_queries_cost(name: str, passes: int, net: TinyNet, x: Tensor) -> None:
    """A gradient a step, of APGD one more; an adaptive attack begins with as much, and chooses between two points."""
    victim = Victim(net, DefendedModule(net), False, False, ThreatModel(eps=0.05), 0.01, 10)
    labels = net(x).argmax(1)
    with metered(net) as meter:
        find_attack(name).run(victim, x, labels, torch.arange(6), PRESET, None)
    assert meter.passes / len(x) == passes
