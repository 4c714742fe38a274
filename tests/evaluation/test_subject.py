"""Subjects: unkeyed randomness is found, seeded block by block, and said."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from networks import Drawing, TinyNet, Unrepeatable
from torch import Tensor, nn
from watching import Watcher

from counteract import DefendedModule, GaussianNoise, RandomCropPad
from counteract._errors import UserError
from counteract.datasets import ArrayDataset, Dataset
from counteract.evaluation import Inputs, Network, Run, RunOptions, evaluate, make_spec
from counteract.evaluation.subject import Subject


@pytest.mark.parametrize("how", ["torch", "numpy", "python"])
def test_random_answers_are_found(how: str, digits: Dataset) -> None:
    assert run(Drawing(how), digits.take(4), attacks=["clean"]).networks["network"].random


def run(network: nn.Module, data: Dataset, batch_size: int = 100, **changes: Any) -> Run:
    options = RunOptions(watcher=Watcher(), batch_size=batch_size)
    few: dict[str, Any] = {
        "attacks": ["clean", "pgd2", "apgd-ce"],
        "preset": {"preset": "quick", "steps": 2, "draws": 2},
    }
    return evaluate(network.eval(), data, eps=0.05, options=options, **few | changes)


def hits(found: Run) -> list[list[float]]:
    return [cell.correct[0].tolist() for cell in found.cells]


def test_a_random_network_repeats_whatever_the_batch_size_and_its_report_says_so(digits: Dataset) -> None:
    data = digits.take(80)
    first = run(Drawing(), data, draws=3)
    assert hits(first) == hits(run(Drawing(), data, draws=3))
    assert hits(first) == hits(run(Drawing(), data, batch_size=9, draws=3))
    assert first.networks["network"].random
    assert "its draws follow the block" in first.networks["network"].notes[0]
    assert any(0 < share < 1 for share in first.cells[0].correct[0].tolist())
    assert not run(TinyNet(), data).networks["network"].random


def test_different_attacks_are_judged_by_the_same_draws(digits: Dataset) -> None:
    """Without a perturbation every attack must leave what the clean images leave."""
    data = digits.take(70)
    options = RunOptions(watcher=Watcher())
    attacks = ["clean", "pgd1", "noise"]
    clean, *attacked = hits(evaluate(Drawing().eval(), data, eps=1e-9, attacks=attacks, draws=2, options=options))
    assert clean == attacked[0] == attacked[1]


def test_draws_that_cannot_be_repeated_are_named(digits: Dataset) -> None:
    (note,) = run(Unrepeatable(), digits.take(8), attacks=["clean"]).networks["network"].notes
    assert "another run gives other figures" in note


def test_a_network_that_is_defended_already_is_refused(digits: Dataset) -> None:
    defended = DefendedModule(TinyNet().eval(), transforms=[RandomCropPad()], executions=2)
    data = digits.take(4)
    inputs = Inputs(data, {"net": Network("net", nn.Sequential(defended))}, lambda: data)
    spec = make_spec({"dataset": "digits", "models": ["net"], "attacks": ["clean"], "defences": ["undefended"]}, "test")
    with pytest.raises(ValueError, match="model net is defended already, by RandomCropPad: name the undefended"):
        Subject("net", spec, inputs, torch.device("cpu"))


def test_a_pool_must_have_the_shape_of_the_data_and_the_networks_labels(net: nn.Module, digits: Dataset) -> None:
    data, watcher = digits.take(4), Watcher()
    images = torch.rand(4, 3, 16, 16)
    for pool, message in (
        (ArrayDataset("p", images, torch.arange(4), digits.class_names), r"pool must have .*\(3, 16, 16\)"),
        (
            ArrayDataset("p", digits.images[:4], torch.tensor([0, 1, 2, 12]), tuple("abcdefghijklm")),
            "pool has labels up to 12, and model network has 10 classes",
        ),
    ):
        options = RunOptions(watcher=watcher)
        with pytest.raises(UserError, match=message):
            evaluate(net, data, defences=["mixup-inference"], attacks=["clean"], pool=pool, options=options)
    assert not watcher.begun


def test_a_surrogate_for_other_data_is_refused_or_said(digits: Dataset) -> None:
    data, surrogate = digits.take(2), "cifar10-resnet18w16-iat"
    with pytest.raises(UserError, match=r"cifar10-resnet18w16-iat \(the surrogate\) was trained on cifar10"):
        evaluate("digits-resnet-iat", data, attacks=["clean"], surrogate=surrogate)
    found = evaluate("digits-resnet-iat", data.images, data.labels, attacks=["clean"], surrogate="digits-resnet-mixup")
    assert not found.networks["network"].notes
    data.name = "mine"
    said = evaluate("digits-resnet-iat", data, attacks=["clean"], surrogate=surrogate).networks["network"].notes
    assert any(each.startswith(f"the surrogate {surrogate}: its card names cifar10") for each in said)


class Misleading(nn.Module):
    """Images as they are, with a gradient that leads away."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x.detach() - x


class Rounded(nn.Module):
    """Images in few grey levels."""

    def forward(self, x: Tensor) -> Tensor:
        return (20 * x).round() / 20


CLIMBING: dict[str, Any] = {
    "attacks": ["clean", "apgd-ce", "bpda-apgd-ce"],
    "preset": {"preset": "quick", "steps": 6, "restarts": 1},
    "defences": ["undefended", "gaussian-noise"],
    "parameters": {"gaussian-noise": {"executions": 2, "std": 0.02}},
}


def left(found: Run, defence: str = "undefended") -> dict[str, float]:
    return {row.attack: row.accuracy for row in found.rows if row.defence == defence}


def test_attacks_take_a_module_without_a_derivative_for_the_identity(digits_net: nn.Module, digits: Dataset) -> None:
    """In the network, behind one of our defences, and in somebody's whole module."""
    data, network = digits.take(8), nn.Sequential(Rounded(), digits_net)
    found = run(network, data, **CLIMBING)
    words = "attacks take these modules for the identity, or for their slopes over larger steps (BPDA): 0"
    assert found.networks["network"].notes == (f"in backward passes {words}",)
    for defence in ("undefended", "gaussian-noise"):
        assert left(found, defence)["clean"] == 100
        assert max(left(found, defence)[name] for name in ("apgd-ce", "bpda-apgd-ce")) < 50
    whole = run(digits_net, data, **CLIMBING | {"defences": ["undefended", network]})
    assert left(whole, "Sequential")["bpda-apgd-ce"] < 50
    ((_, said),) = whole.parameters("network", "Sequential")
    assert words in said


def test_attacks_take_a_module_that_is_named_for_the_identity(digits_net: nn.Module, digits: Dataset) -> None:
    data, network = digits.take(8), nn.Sequential(nn.Sequential(Misleading()), digits_net)
    alone, plain = (run(each, data, **CLIMBING) for each in (network, nn.Sequential(nn.Identity(), digits_net)))
    assert all(left(alone)[name] > left(plain)[name] for name in ("apgd-ce", "bpda-apgd-ce"))
    for name in ("Misleading", "0.0"):
        named = run(network, data, **CLIMBING, bpda_at=[name])
        assert all(left(named, defence) == left(plain, defence) for defence in ("undefended", "gaussian-noise"))
    whole = run(digits_net, data, **CLIMBING | {"defences": [network]}, bpda_at=["Misleading"])
    assert left(whole, "Sequential")["bpda-apgd-ce"] == left(plain)["bpda-apgd-ce"]
    with pytest.raises(UserError, match=r"^bpda_at 'act': no module has this path"):
        run(network, data, **CLIMBING, bpda_at=["Misleading", "act"])


def test_the_cost_of_an_attack_through_a_module_that_is_passed_over_is_what_it_was(
    net: TinyNet, digits: Dataset
) -> None:
    plain = run(nn.Sequential(nn.Tanh(), net), digits.take(8), **CLIMBING)
    over = run(nn.Sequential(nn.Tanh(), net), digits.take(8), **CLIMBING, bpda_at=["Tanh"])
    assert [row.attack_passes for row in over.rows] == [row.attack_passes for row in plain.rows]


def test_a_defended_network_in_hand_computes_as_it_is_and_that_is_said(digits_net: nn.Module, digits: Dataset) -> None:
    def notes(defence: Any, **changes: Any) -> list[str]:
        run = evaluate(digits_net, digits.take(4), defences=[defence], attacks=["clean"], eps=0.1, **changes)
        return [note for note in run.networks["network"].notes if "bf16" in note]

    whole = DefendedModule(digits_net, transforms=[GaussianNoise(std=0.1)])
    assert notes(whole) == []
    (said,) = notes(whole, precision="bf16")
    assert said.startswith("with DefendedModule: it computes as it is, not in bf16")
    assert notes("gaussian-noise", precision="bf16") == notes(GaussianNoise(std=0.1), precision="bf16") == []
