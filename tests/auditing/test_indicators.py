"""Indicators of attack failure go up on the images that they are about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from auditing.probing import prober
from effort import TINY
from networks import TinyNet
from torch import Tensor, nn

from counteract._batches import BatchSize
from counteract.attacks.losses import margin
from counteract.attacks.norms import Norm
from counteract.attacks.objective import Objective
from counteract.attacks.pgd import draw_starts
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


class Line(nn.Module):
    """A network whose first class leads the others by ten times what the mean of an image is above one half."""

    def forward(self, x: Tensor) -> Tensor:
        lead = 10 * (x.mean((1, 2, 3)) - 0.5)
        return torch.cat([lead.unsqueeze(1), torch.zeros(len(x), 9)], dim=1)


def grey(*levels: float) -> ArrayDataset:
    """Images of one level of grey each, of the first class."""
    images = torch.tensor(levels).view(-1, 1, 1, 1).expand(-1, 3, 8, 8).contiguous()
    return ArrayDataset("own", images, torch.zeros(len(levels), dtype=torch.long), tuple(map(str, range(10))))


def test_a_jump_is_a_tenth_of_one_and_the_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indicators, "draw_starts", lambda keys, images, size, norm: images + 0.03)  # which is 0.3
    found = indicate(prober(Line(), grey(0.5, 0.64, 0.69, 0.71, 0.31, 0.29)))
    assert found.unstable.tolist() == [True, True, True, False, True, False]


@pytest.mark.parametrize(
    ("visited", "kept", "silent"),
    [(0.5, 0.55, False), (0.45, 0.55, True), (0.45, 0.5, True), (0.45, 0.46, False), (0.55, 0.55, False)],
)
def test_a_tie_is_no_example(monkeypatch: pytest.MonkeyPatch, visited: float, kept: float, silent: bool) -> None:
    def stroll(objective: Objective, images: Tensor, starts: Tensor, **effort: object) -> tuple[Tensor, Tensor]:
        objective.slope(torch.full_like(images, visited), 0)
        return torch.full_like(images, kept), torch.zeros(len(images))

    monkeypatch.setattr(indicators, "apgd", stroll)
    assert indicate(prober(Line(), grey(0.9, 0.8))).silent.tolist() == 2 * [silent]


@pytest.mark.parametrize(("defence", "draws"), [("undefended", 1), ("rotation", 3)])
def test_what_draws_is_asked_in_several_draws_and_is_never_certain(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch, defence: str, draws: int
) -> None:
    made = list[tuple[int, bool]]()

    def noted(networks: Any, loss: Any, labels: Tensor, keys: Tensor, draws: int, *, certain: bool) -> Objective:
        made.append((draws, certain))
        return Objective(networks, loss, labels, keys, draws, certain=certain)

    monkeypatch.setattr(indicators, "Objective", noted)
    own = prober(TinyNet().eval(), digits.take(5), defences=[defence], preset=TINY | {"draws": 3})
    indicate(own)
    assert made == [(draws, defence == "undefended")]


def test_neighbours_and_starts_lie_in_the_ball_of_the_norm(
    net: TinyNet, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = list[float]()

    def noted(keys: Tensor, images: Tensor, eps: float, norm: Norm) -> Tensor:
        found = draw_starts(keys, images, eps, norm)
        sizes.append(float((found - images).flatten(1).norm(dim=1).max()))
        return found

    monkeypatch.setattr(indicators, "draw_starts", noted)
    indicate(prober(net, digits.take(5), threat_model={"norm": "L2", "eps": 0.5}))
    assert len(sizes) == 6
    assert max(sizes[:5]) <= 0.05 + 1e-6
    assert 0.05 < sizes[5] <= 0.5 + 1e-6


def test_batches_are_put_one_after_the_other(digits: Dataset) -> None:
    few = digits.take(9)
    Jumping.bound = float(few.images.mean((1, 2, 3)).median())
    own = prober(Jumping().eval(), few)
    whole = indicate(own)
    parted = indicate(replace(own, batch_size=BatchSize(4, torch.device("cpu"), print)))
    assert parted.unstable.tolist() == whole.unstable.tolist()
    assert parted.silent.tolist() == whole.silent.tolist()
