"""Indicators of attack failure go up on the images that they are about."""

from __future__ import annotations

import pytest
import torch
from auditing.probing import prober
from networks import TinyNet
from torch import Tensor

from counteract.attacks.losses import margin
from counteract.attacks.norms import Norm
from counteract.auditing import indicators
from counteract.auditing.indicators import Indicators, indicate
from counteract.datasets import ArrayDataset, Dataset


class Jumping(TinyNet):
    """A network whose answers to bright images depend on the last digits of their pixels."""

    bound = 0.2

    def forward(self, x: Tensor) -> Tensor:
        out = super().forward(x)
        jumps = ((100 * x).flatten(1).sum(1) % 1 - 0.5).detach().unsqueeze(1)
        pattern = torch.arange(out.shape[1]).cos()
        return out + 20 * jumps * pattern * (x.mean((1, 2, 3)) > self.bound).unsqueeze(1)


def test_a_smooth_network_has_none(net: TinyNet, digits: Dataset) -> None:
    found = indicate(prober(net, digits.take(9)))
    assert found.unstable.shape == found.silent.shape == (9,)
    assert not found.unstable.any()
    assert not found.often_unstable


def test_jumps_are_seen_on_the_images_that_have_them(digits: Dataset) -> None:
    few = digits.take(9)
    bright = few.images.mean((1, 2, 3))
    Jumping.bound = float(bright.median())
    found = indicate(prober(Jumping().eval(), few))
    clear = (bright - Jumping.bound).abs() > 0.005
    assert torch.equal(found.unstable[clear], (bright > Jumping.bound)[clear])
    assert found.often_unstable


def test_few_unstable_images_do_not_count() -> None:
    none = torch.zeros(20, dtype=torch.bool)
    assert not Indicators(torch.arange(20) < 2, none).often_unstable
    assert Indicators(torch.arange(20) < 3, none).often_unstable


def test_a_success_on_the_way_is_silent_where_the_kept_point_is_none(
    net: TinyNet, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack is told that its first point has the highest loss: it keeps that, and passes better ones."""
    labels = net(digits.images[:9]).argmax(1)
    few = ArrayDataset("own", digits.images[:9], labels, tuple(map(str, range(10))))

    def first(
        objective: object, images: Tensor, starts: Tensor, *, eps: float, steps: int, norm: Norm
    ) -> tuple[Tensor, Tensor]:
        for step, points in enumerate((images, 1 - images)):
            objective.gradient(points, step)  # type: ignore[attr-defined]
        return images, torch.zeros(len(images))

    monkeypatch.setattr(indicators, "apgd", first)
    own = prober(net, few)
    with torch.no_grad():
        passed = margin(net(1 - few.images), few.labels) > 0
    assert (passed).any()
    assert torch.equal(indicate(own).silent, passed)
