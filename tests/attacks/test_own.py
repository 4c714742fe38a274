"""Every attack of this package: it stays in its bounds, leaves the network alone, and finds what it looks for."""

from __future__ import annotations

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract import Counteraction, DefendedModule, RandomCropPad
from counteract._network import borrowed
from counteract.attacks import (
    ATTACKS,
    AttackPreset,
    ThreatModel,
    Victim,
    find_attack,
)
from counteract.attacks.losses import margin
from counteract.datasets import Dataset
from counteract.whole import WholeModule

EPS = 0.05
SMALL = AttackPreset.model_validate({"preset": "quick", "steps": 3, "queries": 40, "restarts": 2})
EVERY = ["pgd3", "pgd3-targeted", *(name for name in ATTACKS if name != "clean")]


def of(
    net: nn.Module,
    defended: DefendedModule | WholeModule | None = None,
    *,
    eps: float = EPS,
    random: bool = False,
    once: bool = True,
) -> Victim:
    """A network with a defence, or without."""
    return Victim(net, defended or DefendedModule(net), random, once, ThreatModel(eps=eps), eps / 4, 10)


def random_victim(net: nn.Module) -> Victim:
    defended = DefendedModule(
        net, preprocessing_defences=[Counteraction(net, num_labels=2)], transforms=[RandomCropPad()], executions=4
    )
    return of(net, defended, random=True)


def predicted(net: nn.Module, x: Tensor) -> Tensor:
    """The labels of images that are right by definition."""
    with borrowed(net):
        return net(x).argmax(1)  # type: ignore[no-any-return]


def attacked(name: str, victim: Victim, x: Tensor, rows: slice = slice(None)) -> Tensor:
    keys, labels = torch.arange(len(x))[rows], predicted(victim.undefended, x)[rows]
    known = torch.stack([keys + 100, keys + 200], 1)
    return find_attack(name).run(victim, x[rows], labels, keys, SMALL, known)


@pytest.mark.parametrize("name", EVERY)
def test_every_attack_keeps_its_bounds_and_looks_at_one_example_at_a_time(name: str, net: TinyNet, x: Tensor) -> None:
    net.train()
    found = attacked(name, random_victim(net), x)
    change = (found - x).abs().flatten(1).amax(1)
    assert (change <= EPS + 1e-6).all()
    assert (change > EPS / 20).all()
    assert found.min() >= 0
    assert found.max() <= 1
    assert not found.requires_grad
    assert net.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())
    net.eval()
    torch.testing.assert_close(
        attacked(name, random_victim(net), x, slice(3, 5)), attacked(name, random_victim(net), x)[3:5]
    )


@pytest.mark.parametrize("name", [name for name, attack in ATTACKS.items() if attack.adaptive])
def test_adaptive_attacks_look_at_the_defence_and_others_do_not(name: str, net: TinyNet, x: Tensor) -> None:
    plain = of(net)
    assert not torch.equal(attacked(name, random_victim(net), x), attacked(name, plain, x))
    for oblivious in ("apgd-t", "pgd3"):
        assert torch.equal(attacked(oblivious, random_victim(net), x), attacked(oblivious, plain, x))


@pytest.mark.parametrize("name", [name for name in EVERY if name != "noise"])
def test_every_attack_hurts_a_real_network(name: str, digits_net: nn.Module, digits: Dataset) -> None:
    images, labels, keys = digits.images[:16], digits.labels[:16], torch.arange(16)
    preset = SMALL.model_copy(update={"steps": 10, "queries": 200})
    found = find_attack(name).run(of(digits_net, eps=16 / 255), images, labels, keys, preset, keys.unsqueeze(1))
    before, after = (margin(digits_net(points), labels) for points in (images, found))
    assert after.mean() > before.mean() + 1
    assert (after > 0).float().mean() >= 0.3


@pytest.mark.parametrize("name", EVERY)
def test_one_attack_alone_is_told_the_draws_that_judge(name: str, net: TinyNet, x: Tensor) -> None:
    victim, keys, labels = random_victim(net), torch.arange(6), predicted(net, x)
    one, other = (find_attack(name).run(victim, x, labels, keys, SMALL, keys.unsqueeze(1) + more) for more in (0, 9))
    assert torch.equal(one, other) != (name == "fixed")
    assert find_attack(name).known == (name == "fixed")


@pytest.mark.parametrize("name", [name for name in EVERY if name not in ("smooth", "cheap")])
def test_attacks_on_a_whole_module_are_those_on_the_same_network(name: str, net: TinyNet, x: Tensor) -> None:
    assert torch.equal(attacked(name, of(net, WholeModule(net)), x), attacked(name, of(net), x))
