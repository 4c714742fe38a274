"""The probes attack with the bounds and steps that they name, and see which images have no gradient."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from auditing.probing import prober
from networks import TinyNet
from torch import Tensor, nn
from watching import Watcher

from counteract.attacks import AttackPreset, Victim, find_attack
from counteract.auditing.probes import Probes
from counteract.datasets import Dataset

COUNT = 9


def probe(network: nn.Module, data: Dataset, attack: Any, **changes: Any) -> Probes:
    own = prober(network, data.take(COUNT), **changes)
    found, watcher = own.probe(attack), own.watcher
    assert isinstance(watcher, Watcher)
    assert watcher.begun == watcher.done == 5 * COUNT
    return found


def test_bounds_steps_and_what_is_judged(net: TinyNet, digits: Dataset) -> None:
    calls: list[tuple[float, float, int, int]] = []

    def spy(
        victim: Victim, images: Tensor, labels: Tensor, keys: Tensor, preset: AttackPreset, known: Tensor | None
    ) -> Tensor:
        threat = victim.threat_model
        calls.append((255 * threat.eps, 255 * victim.eps_step, preset.steps, len(images)))
        return images if len(calls) == 1 else torch.full_like(images, 0.5)

    found = probe(net, digits, replace(find_attack("bpda-pgd"), run=spy))
    rows = torch.arange(COUNT)
    log_probabilities = net(digits.read(rows)).log_softmax(1)
    grey = net(torch.full((1, *digits.image_shape), 0.5)).log_softmax(1)
    labels = digits.labels[:COUNT]
    assert [call[:3] for call in calls] == [
        pytest.approx(call) for call in ((8, 1, 5), (8, 1, 10), (16, 2, 5), (127.5, 127.5 / 8, 5))
    ]
    assert torch.equal(found.base, (log_probabilities.argmax(1) == labels).double())
    for outcome in (found.longer, found.wider, found.widest):
        assert torch.equal(outcome, (grey.argmax() == labels).double())
    fall = log_probabilities.exp()[rows, labels] - grey.exp()[0, labels]
    torch.testing.assert_close(found.fall, fall.double(), rtol=0, atol=1e-6)
    assert found.flat == 0
    assert found.grey == pytest.approx(float((grey.argmax() == labels).double().mean()))


def test_no_bound_is_larger_than_all_there_is(net: TinyNet, digits: Dataset) -> None:
    seen: list[float] = []

    def spy(victim: Victim, images: Tensor, *rest: Any) -> Tensor:
        seen.append(victim.threat_model.eps)
        return images

    probe(net, digits, replace(find_attack("bpda-pgd"), run=spy), threat_model={"eps": 0.75})
    assert seen == [0.75, 0.75, 1.0, 0.75]


def test_images_without_a_gradient_are_counted(net: TinyNet, digits: Dataset) -> None:
    means = digits.read(torch.arange(COUNT)).mean((1, 2, 3))
    threshold = means.sort().values[COUNT - 3]

    class Blind(nn.Module):
        """A network that sees nothing in bright images."""

        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            mean = x.mean((1, 2, 3), keepdim=True)
            seen = torch.where(mean > threshold, torch.zeros_like(x), x)
            scores: Tensor = self.net(seen)
            return scores

    assert probe(Blind(), digits, find_attack("bpda-pgd")).flat == 2


def test_several_draws_judge_a_random_defence(net: TinyNet, digits: Dataset) -> None:
    random: dict[str, Any] = {
        "defences": ["gaussian-noise"],
        "parameters": {"gaussian-noise": {"std": 1.0, "executions": 1}},
    }
    found = probe(net, digits, find_attack("bpda-pgd"), draws=3, **random)
    shares = torch.cat([found.base, found.longer, found.wider, found.widest])
    assert set((3 * shares).round(decimals=6).tolist()) <= {0, 1, 2, 3}
    assert ((shares > 0) & (shares < 1)).any()
