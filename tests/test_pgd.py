"""The one PGD: torchattacks' bit for bit from the same start, in a network that is left as it was found."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchattacks
from networks import Outright, TinyNet
from torch import Tensor, nn

from counteract._pgd import pgd
from counteract.datasets import Dataset

EPS, STEP = 0.1, 0.03


@pytest.mark.parametrize("targeted", [True, False])
def test_snapshots_are_torchattacks_separate_runs(digits_net: nn.Module, digits: Dataset, targeted: bool) -> None:
    images, labels = digits.images[:16], digits.labels[:16]
    torch.manual_seed(0)
    starts = (images + torch.empty_like(images).uniform_(-EPS, EPS)).clamp(0, 1)
    found = pgd(digits_net, images, labels, starts, eps=EPS, step=STEP, steps=[5, 1], targeted=targeted)
    assert sorted(found) == [1, 5]
    for steps, adversarial in found.items():
        torch.manual_seed(0)
        attack = torchattacks.PGD(digits_net, eps=EPS, alpha=STEP, steps=steps)
        if targeted:
            attack.set_mode_targeted_by_label(quiet=True)
        assert torch.equal(adversarial, attack(images, labels))


def test_the_network_computes_in_eval_mode_and_is_left_as_it_was_found(x: Tensor) -> None:
    net = TinyNet()
    dropping = nn.Sequential(nn.Dropout(), net).train()
    net.norm.eval()
    before, labels = x.clone(), torch.arange(6)
    with torch.no_grad():
        found = pgd(dropping, x, labels, x, eps=EPS, step=STEP, steps=[2])[2]
    assert torch.equal(x, before)
    assert not found.requires_grad
    assert [module.training for module in dropping.modules()] == [True, True, True, True, False, True]
    assert all(p.requires_grad and p.grad is None for p in net.parameters())
    assert torch.equal(pgd(net.eval(), x, labels, x, eps=EPS, step=STEP, steps=[2])[2], found)


@pytest.mark.parametrize(("dtype", "computed"), [(torch.bfloat16, torch.float32), (torch.float64, torch.float64)])
def test_the_loss_has_at_least_single_precision(
    net: TinyNet, x: Tensor, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, computed: torch.dtype
) -> None:
    seen = []
    cross_entropy = nn.functional.cross_entropy

    def spy(logits: Tensor, *rest: Any, **options: Any) -> Tensor:
        seen.append(logits.dtype)
        return cross_entropy(logits, *rest, **options)

    monkeypatch.setattr(nn.functional, "cross_entropy", spy)
    x = x.to(dtype)
    found = pgd(net.to(dtype), x, torch.arange(6), x, eps=EPS, step=STEP, steps=[1])[1]
    assert (set(seen), found.dtype) == ({computed}, dtype)


def test_another_way_to_ask(net: TinyNet, x: Tensor) -> None:
    labels = torch.arange(6)
    turned = pgd(net, x, labels, x, eps=EPS, step=STEP, steps=[1], logits=lambda images: -net(images))[1]
    plain = pgd(net, x, labels, x, eps=EPS, step=STEP, steps=[1])[1]
    assert not torch.equal(turned, plain)


def test_a_batch_that_is_answered_outright_stays_where_it_is(x: Tensor) -> None:
    net, labels, grey = Outright().eval(), torch.arange(6), (255 * x).round() / 255
    first = pgd(net, grey, labels, grey, eps=EPS, step=STEP, steps=[1])[1]
    assert torch.equal(first, pgd(TinyNet().eval(), grey, labels, grey, eps=EPS, step=STEP, steps=[1])[1])
    assert torch.equal(pgd(net, grey, labels, grey, eps=EPS, step=STEP, steps=[4])[4], first)
