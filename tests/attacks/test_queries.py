"""Attacks without gradients ask as often as they say, and see answers alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from counteract import DefendedModule, GaussianNoise
from counteract.attacks import AttackPreset, ThreatModel, Victim, find_attack

PRESET = AttackPreset.model_validate({"preset": "quick", "queries": 6, "draws": 3})


@pytest.mark.parametrize("name", ["square", "decision"])
@pytest.mark.parametrize("once", [True, False])
def test_draws_of_a_random_defence_are_averaged(name: str, once: bool, net: nn.Module, x: Tensor) -> None:
    """As several draws, or as the executions of one."""
    executions: list[int] = []

    class Noise(GaussianNoise):
        def draw(self, keys: Tensor, x: Tensor, prepared: Tensor | None) -> Tensor:
            executions.append(len(x))
            return super().draw(keys, x, prepared)

    defended = DefendedModule(net, transforms=[Noise()], executions=50)
    victim = Victim(net, defended, True, once, ThreatModel(), 0.01, 10)
    attack = find_attack(name)
    found = attack.run(victim, x, torch.arange(6), torch.arange(6), PRESET, None)
    assert sum(executions) == 6 * 6 * 3 * PRESET.executions
    assert not found.requires_grad


@pytest.mark.parametrize("name", ["square", "decision"])
def test_no_gradient_is_asked_for(name: str, net: nn.Module, x: Tensor) -> None:
    class Deaf(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert not torch.is_grad_enabled()
            return net(x)  # type: ignore[no-any-return]

    victim = Victim(net, DefendedModule(Deaf()), False, False, ThreatModel(), 0.01, 10)
    find_attack(name).run(victim, x, torch.arange(6), torch.arange(6), PRESET, None)
