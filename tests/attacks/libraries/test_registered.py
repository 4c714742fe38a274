"""Attacks that users and packages register: made, told what they ask to be told, and known by their code."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Any

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract import DefendedModule, GaussianNoise, attack
from counteract.attacks import AttackError, find_attack, registry
from counteract.attacks.libraries import foreign_lines, registered
from counteract.attacks.libraries.registered import Registered
from counteract.datasets import Dataset
from counteract.evaluation import evaluate
from counteract.evaluation.identity import object_key

Made = Callable[[Tensor, Tensor], Tensor]

TOLD: list[dict[str, Any]] = []


def signs(
    model: nn.Module, *, eps: float, norm: str = "?", num_classes: int = 0, targeted: bool = False, times: int = 1
) -> Made:
    """One step along the sign. As in textbooks."""
    TOLD.append({"eps": eps, "norm": norm, "num_classes": num_classes, "targeted": targeted, "times": times})

    def craft(images: Tensor, labels: Tensor) -> Tensor:
        points = images.requires_grad_()
        loss = nn.functional.cross_entropy(model(points), labels)
        step = eps * torch.autograd.grad(loss, points)[0].sign()
        return images - step if targeted else images + step

    return craft


def far(model: nn.Module) -> Made:
    return lambda images, labels: 1 - images


def wrong(model: nn.Module, result: str = "shape") -> Callable[[Tensor, Tensor], object]:
    def craft(images: Tensor, labels: Tensor) -> object:
        found = {"shape": images[:1], "nan": images * torch.nan, "text": "images", "none": None}
        if result == "error":
            raise KeyError("a\nlong" + 500 * " story")
        return found[result]

    return craft


@pytest.fixture(autouse=True)
def _mine(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {
        "signs": Registered(signs, "signs"),
        "far": Registered(far, "far", gradients=False),
        "wrong": Registered(wrong, "wrong", gradients=False),
    }
    monkeypatch.setattr(registered, "REGISTERED", table)
    monkeypatch.setattr(registry, "REGISTERED", table)
    TOLD.clear()


def test_a_factory_is_told_what_it_asks_for(net: TinyNet, x: Tensor) -> None:
    labels = net(x).argmax(1)
    found = attack("signs(times=3)", net, x, labels, eps=0.02)
    assert TOLD[-1] == {"eps": 0.02, "norm": "Linf", "num_classes": 10, "targeted": False, "times": 3}
    assert (found - x).abs().max().item() == pytest.approx(0.02, abs=1e-6)
    attack("signs-targeted(eps=0.01)", net, x, labels, eps=0.02)
    assert TOLD[-1] == {"eps": 0.01, "norm": "Linf", "num_classes": 10, "targeted": True, "times": 1}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("signs(num_classes=3)", "argument 'num_classes' is not known"),
        ("signs(model=3)", "argument 'model' is not known"),
        ("far-targeted", "far has no targeted mode"),
    ],
)
def test_what_is_not_the_users_to_say_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_attack(name)


def test_through_a_defence_every_query_draws_afresh(net: TinyNet, x: Tensor) -> None:
    answers: list[Tensor] = []

    def asking(model: nn.Module) -> Made:
        def craft(images: Tensor, labels: Tensor) -> Tensor:
            torch.manual_seed(0)  # which an attack may do
            answers.extend([model(images), model(images)])
            return images

        return craft

    registered.REGISTERED["asking"] = Registered(asking, "")
    defended = DefendedModule(net, transforms=[GaussianNoise(0.1)])
    attack("asking@defended", defended, x, torch.arange(6))
    attack("asking@defended", defended, x, torch.arange(6))
    attack("asking@defended", defended, x, torch.arange(6), seed=1)
    first, second, third, _, fifth, _ = answers
    assert not torch.equal(first, second)
    assert torch.equal(first, third)
    assert not torch.equal(first, fifth)
    attack("asking", defended, x, torch.arange(6))
    assert torch.equal(answers[6], answers[7])
    assert torch.equal(answers[6], net(x))


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ("shape", r"it returned shape \(1, 3, 32, 32\) for images of shape \(6, 3, 32, 32\)"),
        ("nan", "it returned pixels that are no finite numbers"),
        ("text", "it returned str and not images"),
        ("none", "it returned NoneType and not images"),
        ("error", "KeyError: "),
    ],
)
def test_a_wrong_result_or_a_failure_is_one_line(result: str, message: str, net: TinyNet, x: Tensor) -> None:
    name = f"wrong(result='{result}')"
    with pytest.raises(AttackError, match=message) as failed:
        attack(name, net, x, torch.arange(6))
    text = str(failed.value)
    assert text.startswith(f"attack {name} failed: ")
    assert "\n" not in text
    assert len(text) <= 300
    assert failed.value.reason == text.removeprefix(f"attack {name} failed: ")


def test_a_result_outside_is_projected_and_said_to_be(net: TinyNet, x: Tensor) -> None:
    with pytest.warns(UserWarning, match="attack far: 6 of 6 results lay outside of the threat model"):
        found = attack("far", net, x, torch.arange(6), eps=0.02)
    assert (found - x).abs().max().item() == pytest.approx(0.02, abs=1e-6)


def test_entry_points_are_attacks(monkeypatch: pytest.MonkeyPatch, net: TinyNet, x: Tensor) -> None:
    points = [
        EntryPoint("theirs", "torchattacks:MIFGSM", registered.GROUP),
        EntryPoint("gone", "no_such_package:attack", registered.GROUP),
    ]
    monkeypatch.setattr(registered, "entry_points", lambda group: points if group == registered.GROUP else [])
    monkeypatch.setattr(registered, "_entry_points", registered._entry_points.__wrapped__)
    assert registered.names() == ["far", "gone", "signs", "theirs", "wrong"]
    assert find_attack("theirs").help.startswith("MI-FGSM in the paper")
    labels = net(x).argmax(1)
    assert torch.equal(
        attack("theirs(steps=2)", net, x, labels), attack("torchattacks:MIFGSM(steps=2)", net, x, labels)
    )
    with pytest.raises(ValueError, match="attack gone: no_such_package:attack of an installed package fails: Module"):
        find_attack("gone")
    told = dict(foreign_lines())
    assert told["theirs"].startswith("MI-FGSM in the paper")
    assert told["gone"].startswith("attack gone: no_such_package:attack of an installed package fails")


def test_results_are_known_by_the_code_of_the_attack() -> None:
    before = find_attack("far").origin

    def nearer(model: nn.Module) -> Made:
        return lambda images, labels: 0.5 * images

    registered.REGISTERED["far"] = Registered(nearer, "")
    assert object_key(find_attack("far").origin) != object_key(before)
    assert object_key(before) == object_key(far)


def test_it_goes_wherever_a_name_goes(net: TinyNet, digits: Dataset) -> None:
    run = evaluate(net, digits.take(8), attacks=["clean", "far", "far@defended"], defences=["undefended", "rotation"])
    found = {(row.attack, row.defence): row.projected for row in run.rows}
    assert found == {
        ("clean", "undefended"): 0, ("clean", "rotation"): 0, ("far", "undefended"): 8, ("far", "rotation"): 8,
        ("far@defended", "undefended"): 8, ("far@defended", "rotation"): 8,
    }  # fmt: skip
    assert not run.obstacles
