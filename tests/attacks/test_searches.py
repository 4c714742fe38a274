"""PGD, APGD, Square and RayS on a deterministic network, against torchattacks' and their own promises."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

import pytest
import torch
import torchattacks
from torch import Tensor, nn

from counteract.attacks import Objective, draw_starts
from counteract.attacks.apgd import apgd
from counteract.attacks.ascent import ascend
from counteract.attacks.losses import Loss, cross_entropy, dlr, margin, wrong
from counteract.attacks.rays import rays
from counteract.attacks.square import square
from counteract.datasets import Dataset

EPS = 12 / 255
N = 16

Search = Callable[[Objective, Tensor], Tensor]


def bare(net: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda images, keys: net(images)


def objective(net: nn.Module, data: Dataset, loss: Loss) -> Objective:
    return Objective([bare(net)], loss, data.labels[:N], torch.arange(N))


@pytest.mark.parametrize(("name", "loss"), [("ce", cross_entropy), ("dlr", dlr)])
def test_apgd_reaches_torchattacks_losses_from_the_same_start(
    digits_net: nn.Module, digits: Dataset, name: str, loss: Loss
) -> None:
    images, labels = digits.images[:N], digits.labels[:N]
    theirs = torchattacks.APGD(digits_net, eps=EPS / 4, steps=30, loss=name)
    noise = 2 * torch.rand(images.shape, generator=torch.Generator().manual_seed(0)) - 1
    with mock.patch("torch.rand", return_value=(noise + 1) / 2):
        points, _, values, _ = theirs.attack_single_run(images, labels)
    noise = noise / noise.flatten(1).abs().amax(1).view(-1, 1, 1, 1)
    starts = (images + EPS / 4 * noise).clamp(0, 1)
    ours, reached = apgd(objective(digits_net, digits, loss), images, starts, eps=EPS / 4, steps=30)
    assert (ours - images).abs().max() <= EPS / 4 + 1e-6
    torch.testing.assert_close(loss(digits_net(ours), labels), reached)
    assert float(reached.mean()) == pytest.approx(float(values.mean()), rel=0.02)
    assert (digits_net(ours).argmax(1) == labels).sum() == (digits_net(points).argmax(1) == labels).sum()


def test_apgd_reaches_more_than_pgd_in_as_many_steps(digits_net: nn.Module, digits: Dataset) -> None:
    given, images = objective(digits_net, digits, margin), digits.images[:N]
    starts = draw_starts(torch.arange(N), images, EPS / 4)
    _, plain = ascend(given, images, starts, eps=EPS / 4, step_size=EPS / 16, steps=12)
    _, automatic = apgd(given, images, starts, eps=EPS / 4, steps=12)
    assert automatic.mean() > given.value(starts, 0).mean() + 1
    assert automatic.mean() > plain.mean() - 0.05


@pytest.mark.parametrize("search", [ascend, apgd])
def test_the_point_of_the_highest_loss_is_kept(search: Callable[..., tuple[Tensor, Tensor]]) -> None:
    """One pixel, whose loss peaks inside the ball and falls off beyond: the last point is not the best."""

    def peak(images: Tensor, keys: Tensor) -> Tensor:
        return -((images.flatten(1) - 0.53) ** 2)

    images = torch.full((1, 1, 1, 1), 0.5)
    given = Objective([peak], lambda scores, labels: scores[:, 0], torch.zeros(1).long(), torch.zeros(1).long())
    sizes = {"step_size": 0.04} if search is ascend else {}
    points, values = search(given, images, images, eps=0.1, steps=7, **sizes)
    assert float(points) == pytest.approx(0.54 if search is ascend else 0.53, abs=0.015)
    torch.testing.assert_close(given.value(points, 0), values)


def test_square_needs_no_gradient_and_raises_the_loss(digits_net: nn.Module, digits: Dataset) -> None:
    images, given = digits.images[:N], objective(digits_net, digits, margin)
    keys = torch.arange(N)
    few, _ = square(given, images, keys, eps=EPS, queries=5)
    many, values = square(given, images, keys, eps=EPS, queries=60)
    assert (many - images).abs().max() <= EPS + 1e-6
    assert [float(many.min()), float(many.max())] == [0, 1]
    clean = given.value(images, 0).mean()
    assert clean < given.value(few, 0).mean() < given.value(many, 0).mean() - 1
    torch.testing.assert_close(given.value(many, 0), values)
    part = Objective(given.networks, margin, given.labels[8:], keys[8:])
    torch.testing.assert_close(square(part, images[8:], keys[8:], eps=EPS, queries=60)[0], many[8:])


def test_rays_finds_near_points_from_labels_alone(digits_net: nn.Module, digits: Dataset) -> None:
    images, labels, given = digits.images[:N], digits.labels[:N], objective(digits_net, digits, wrong)
    found = rays(given, images, eps=2 * EPS, queries=300)
    assert (found - images).abs().max() <= 2 * EPS + 1e-6
    assert (digits_net(images).argmax(1) == labels).float().mean() > 0.9
    assert (digits_net(found).argmax(1) == labels).float().mean() < 0.5
    noise = draw_starts(torch.arange(N), images, 2 * EPS)
    assert (digits_net(noise).argmax(1) == labels).float().mean() > 0.8
    part = Objective(given.networks, wrong, labels[8:], torch.arange(N)[8:])
    assert torch.equal(rays(part, images[8:], eps=2 * EPS, queries=300), found[8:])
