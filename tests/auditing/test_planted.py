"""An example that certainly exists is found by attacks that follow gradients, and missed by those that have none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from auditing.probing import prober
from networks import TinyNet
from torch import Tensor, nn

from counteract._random import fold
from counteract.attacks.norms import Name
from counteract.attacks.threat_model import ThreatModel
from counteract.auditing import planted as module
from counteract.auditing.planted import Planted, plant
from counteract.datasets import Dataset
from counteract.whole import whole_module


class Bent(nn.Module):
    """A network whose gradient is turned round, or taken away."""

    def __init__(self, turn: float) -> None:
        super().__init__()
        self.net, self.turn = TinyNet().eval(), turn

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)
        return out.detach() + self.turn * (out - out.detach())


def planted(network: nn.Module, digits: Dataset, **changes: Any) -> Planted:
    whole = whole_module(network, digits.images[:2])
    return plant(prober(TinyNet().eval(), digits.take(9), **changes), whole)


@pytest.mark.parametrize("threat", [{}, {"norm": "L2", "eps": 3.0}])
def test_an_honest_network_gives_every_example_away(threat: dict[str, Any], digits: Dataset) -> None:
    found = planted(Bent(1.0), digits, threat_model=threat)
    assert found.planted == found.found >= 8


@pytest.mark.parametrize("turn", [0.0, -1.0])
def test_a_gradient_that_leads_nowhere_does_not(turn: float, digits: Dataset) -> None:
    found = planted(Bent(turn), digits)
    assert found.planted >= 8
    assert found.found <= 2


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_the_planted_point_is_an_example_and_no_inner_point_is(norm: Name, digits: Dataset) -> None:
    net, images = TinyNet().eval(), digits.images[:6]

    def answer(points: Tensor) -> Tensor:
        with torch.no_grad():
            found: Tensor = net(points).log_softmax(1)
        return found

    keys, bound = fold(torch.arange(6), 5), ThreatModel(norm=norm)
    assert bound.metric.size(module._corner(bound, images, keys, 0)).sub(bound.eps).abs().max() < 1e-6
    corners = [(images + module._corner(bound, images, keys, n)).clamp(0, 1) for n in range(4)]
    direction, threshold, corner = module._threshold(answer, corners, [images, images + 0.002])
    assert all(any(torch.equal(row, each[k]) for each in corners) for k, row in enumerate(corner))
    torch.testing.assert_close(direction.norm(dim=1), torch.ones(6))
    assert ((answer(corner) * direction).sum(1) > threshold).all()
    assert ((answer(images) * direction).sum(1) < threshold).all()


def test_nothing_can_be_planted_in_a_network_that_knows_one_answer(digits: Dataset) -> None:
    class Constant(TinyNet):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * 0

    assert planted(Constant().eval(), digits) == Planted(0, 0)


def test_draws_of_a_random_network_are_judged_afresh(net: TinyNet, digits: Dataset) -> None:
    """Noise alone: fresh draws do not agree that a point is an example."""

    class Noise(nn.Module):
        def forward(self, x: Tensor, keys: Tensor) -> Tensor:
            noise = torch.stack(
                [torch.randn(10, generator=torch.Generator().manual_seed(int(k) % 2**31)) for k in keys]
            )
            return noise + 0 * x.mean((1, 2, 3)).unsqueeze(1)

    own = prober(net, digits.take(9), defences=["gaussian-noise"])
    assert own.random
    whole = whole_module(Noise(), digits.images[:2])
    assert plant(own, whole).planted <= 4
