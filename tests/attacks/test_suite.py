"""Every attack by its name: it stays in its bounds, leaves the network alone, and finds what it looks for."""

from __future__ import annotations

import itertools

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract import AntiAdversary, Counteraction, DefendedModule, RandomCropPad
from counteract._network import borrowed
from counteract.attacks import RECIPES, Budget, Target, attack_calls, run_attack
from counteract.attacks.losses import margin
from counteract.datasets import Dataset

EPS = 0.05
SMALL = Budget.model_validate({"preset": "quick", "steps": 3, "queries": 40, "restarts": 2})


def target(net: nn.Module) -> Target:
    defended = DefendedModule(
        net, preprocessing_defences=[Counteraction(net, num_labels=2)], transforms=[RandomCropPad()], executions=4
    )
    return Target(net, defended, random=True, eps=EPS, eps_step=EPS / 4)


def predicted(net: nn.Module, x: Tensor) -> Tensor:
    """The labels of images that are right by definition."""
    with borrowed(net):
        return net(x).argmax(1)  # type: ignore[no-any-return]


def attacked(name: str, of: Target, x: Tensor, rows: slice = slice(None), budget: Budget = SMALL) -> Tensor:
    keys, labels = torch.arange(len(x))[rows], predicted(of.bare, x)[rows]
    return run_attack(name, of, x[rows], labels, keys, budget, torch.stack([keys + 100, keys + 200], 1))


@pytest.mark.parametrize("name", RECIPES)
def test_every_attack_keeps_its_bounds_and_looks_at_one_example_at_a_time(name: str, net: TinyNet, x: Tensor) -> None:
    net.train()
    found = attacked(name, target(net), x)
    change = (found - x).abs().flatten(1).amax(1)
    assert (change <= EPS + 1e-6).all()
    assert (change > EPS / 20).all()
    assert found.min() >= 0
    assert found.max() <= 1
    assert not found.requires_grad
    assert net.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())
    net.eval()
    torch.testing.assert_close(attacked(name, target(net), x, slice(3, 5)), attacked(name, target(net), x)[3:5])


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if recipe.adaptive])
def test_adaptive_attacks_look_at_the_defence_and_others_do_not(name: str, net: TinyNet, x: Tensor) -> None:
    plain = Target(net, DefendedModule(net), random=False, eps=EPS, eps_step=EPS / 4)
    assert not torch.equal(attacked(name, target(net), x), attacked(name, plain, x))
    assert torch.equal(attacked("apgd-t", target(net), x), attacked("apgd-t", plain, x))


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "noise"])
def test_every_attack_hurts_a_real_network(name: str, digits_net: nn.Module, digits: Dataset) -> None:
    images, labels = digits.images[:16], digits.labels[:16]
    keys, budget = torch.arange(16), SMALL.model_copy(update={"steps": 10, "queries": 200})
    of = Target(digits_net, DefendedModule(digits_net), random=False, eps=16 / 255, eps_step=4 / 255)
    found = run_attack(name, of, images, labels, keys, budget, keys.unsqueeze(1))
    before, after = (margin(digits_net(points), labels) for points in (images, found))
    assert after.mean() > before.mean() + 1
    assert (after > 0).float().mean() >= 0.3


def test_more_restarts_are_no_worse(digits_net: nn.Module, digits: Dataset) -> None:
    images, labels = digits.images[:16], digits.labels[:16]
    of = Target(digits_net, DefendedModule(digits_net), random=False, eps=4 / 255, eps_step=1 / 255)

    def reached(restarts: int) -> Tensor:
        budget = SMALL.model_copy(update={"restarts": restarts})
        found = run_attack("bpda-apgd-ce", of, images, labels, torch.arange(16), budget)
        return margin(digits_net(found), labels)

    once, thrice = reached(1), reached(3)
    assert (thrice >= once - 1e-4).all()
    assert (thrice > once + 1e-3).any()


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("random", [True, False])
def test_what_an_attack_asks_for_is_what_it_is_said_to(name: str, random: bool, net: TinyNet, x: Tensor) -> None:
    """A forward pass a gradient and a query, but for the choice among at most six points by four times three draws."""
    asked = 0
    labels = predicted(net, x)

    def count(module: nn.Module, inputs: tuple[Tensor]) -> None:
        nonlocal asked
        asked += len(inputs[0])

    budget = SMALL.model_copy(update={"draws": 3})
    of = Target(net, DefendedModule(net), random=random, eps=EPS, eps_step=EPS / 4)
    net.register_forward_pre_hook(count)
    run_attack(name, of, x, labels, torch.arange(6), budget)
    calls = attack_calls(name, budget, random=random, once=True, classes=10)
    passes = calls // 2 if RECIPES[name].gradients else calls
    if RECIPES[name].view == "joint":  # there is no counteraction here to turn
        passes -= budget.restarts * (budget.steps + 1) * (budget.draws if random else 1)
    assert passes <= asked / 6 <= passes + 4 * 3 * 2 * (budget.targets + 1)


def test_the_executions_of_several_draws_share_what_runs_once_and_draws_nothing(net: TinyNet, x: Tensor) -> None:
    """Counteraction's own forward pass is made once a draw, or once for the crops of all draws."""
    asked = 0
    labels = predicted(net, x)

    def count(module: nn.Module, inputs: tuple[Tensor]) -> None:
        nonlocal asked
        asked += len(inputs[0])

    def passes(once: bool) -> float:
        nonlocal asked
        asked = 0
        defended = DefendedModule(
            net, preprocessing_defences=[Counteraction(net)], transforms=[RandomCropPad()], executions=9
        )
        of = Target(net, defended, random=True, eps=EPS, eps_step=EPS / 4, once=once)
        run_attack("bpda-apgd-cw", of, x, labels, torch.arange(6), budget)
        return asked // 6  # a single image more is that of a check

    budget = SMALL.model_copy(update={"draws": 3, "executions": 2, "restarts": 1})
    net.register_forward_pre_hook(count)
    gradients, judged, bare = budget.steps + 1, 2, budget.steps + 1
    crops = budget.draws * budget.executions
    assert passes(True) == bare + gradients * (3 + crops) + judged * 4 * (3 + crops)
    assert passes(False) == bare + gradients * (1 + crops) + judged * 4 * (1 + crops)


def test_budgets() -> None:
    presets = [Budget.model_validate(name) for name in ("quick", "standard", "full")]
    for less, more in itertools.pairwise(presets):
        assert all(getattr(less, field) <= getattr(more, field) for field in Budget.model_fields)
    assert Budget.model_validate({"steps": 7}) == presets[1].model_copy(update={"steps": 7})
    with pytest.raises(ValueError, match="budget 'quik' is not known; did you mean quick"):
        Budget.model_validate("quik")
    with pytest.raises(ValueError, match="stpes"):
        Budget.model_validate({"preset": "quick", "stpes": 7})
    with pytest.raises(ValueError, match="steps"):
        Budget.model_validate({"preset": "quick", "steps": 0})


def test_gradients_that_lead_nowhere_do_not_make_an_attack_worse_than_transfer(
    digits_net: nn.Module, digits: Dataset
) -> None:
    """The anti-adversary's steps are so large that its gradients say little of what it does."""
    images, labels, keys = digits.images[:16], digits.labels[:16], torch.arange(16)
    defended = DefendedModule(digits_net, preprocessing_defences=[AntiAdversary(digits_net)])
    of = Target(digits_net, defended, random=False, eps=12 / 255, eps_step=3 / 255)
    found = run_attack("bpda-apgd-cw", of, images, labels, keys, SMALL.model_copy(update={"steps": 8, "restarts": 1}))
    assert (defended(images).argmax(1) == labels).float().mean() > 0.5
    assert (defended(found).argmax(1) == labels).float().mean() < 0.2
