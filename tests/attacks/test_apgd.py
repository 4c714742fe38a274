"""APGD on a deterministic network, against torchattacks'."""

from __future__ import annotations

from unittest import mock

import pytest
import torch
import torchattacks
from attacks.searching import EPS, N, check_that_the_best_is_kept, objective
from torch import nn

from counteract.attacks import draw_starts
from counteract.attacks.apgd import apgd
from counteract.attacks.ascent import ascend
from counteract.attacks.losses import Loss, cross_entropy, dlr, margin
from counteract.attacks.norms import NORMS
from counteract.datasets import Dataset


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


@pytest.mark.parametrize(("name", "loss"), [("ce", cross_entropy), ("dlr", dlr)])
def test_apgd_in_l2_reaches_torchattacks_losses_from_the_same_start(
    digits_net: nn.Module, digits: Dataset, name: str, loss: Loss
) -> None:
    images, labels, norm = digits.images[:N], digits.labels[:N], NORMS["L2"]
    theirs = torchattacks.APGD(digits_net, norm="L2", eps=0.3, steps=30, loss=name)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    with mock.patch("torch.randn", return_value=noise):
        points, _, values, _ = theirs.attack_single_run(images, labels)
    starts = (images + 0.3 * norm.steepest(noise)).clamp(0, 1)
    ours, reached = apgd(objective(digits_net, digits, loss), images, starts, eps=0.3, steps=30, norm=norm)
    assert norm.size(ours - images).max() <= 0.3 + 1e-6
    torch.testing.assert_close(loss(digits_net(ours), labels), reached)
    assert float(reached.mean()) == pytest.approx(float(values.mean()), rel=0.02)
    assert (digits_net(ours).argmax(1) == labels).sum() == (digits_net(points).argmax(1) == labels).sum()


def test_the_point_of_the_highest_loss_is_kept() -> None:
    check_that_the_best_is_kept(apgd, 0.53)
