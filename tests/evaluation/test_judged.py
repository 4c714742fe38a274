"""A network with a defence: what reports say of its draws."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from networks import Drawing, TinyNet, Unrepeatable
from torch import Tensor, nn
from watching import Watcher

from counteract import load_model
from counteract.datasets import Dataset
from counteract.evaluation import RunOptions, evaluate


def test_draws_of_a_defence_that_cannot_be_repeated_are_named(digits: Dataset) -> None:
    words = {"follow the block": Drawing(), "another run differs": Unrepeatable()}
    options = RunOptions(watcher=Watcher())
    for said, defence in words.items():
        defences = ["undefended", defence.eval()]
        found = evaluate(TinyNet().eval(), digits.take(8), defences=defences, attacks=["clean"], options=options)
        assert said in str(found.parameters("network", type(defence).__name__))


def test_a_defence_that_draws_once_for_a_whole_batch_is_said_to_have_intervals_that_are_too_narrow(
    digits: Dataset,
) -> None:
    """Five draws of a hundred images are then ten and not five hundred: the truth lies outside in four of ten runs."""
    for how, shared in (("torch", False), ("numpy", True), ("python", True)):
        defence = Drawing(how).eval()
        defences = ["undefended", defence]
        found = evaluate(TinyNet().eval(), digits.take(8), defences=defences, attacks=["clean"])
        assert ("one draw serves a whole batch" in str(found.parameters("network", "Drawing"))) == shared


class Sure(nn.Module):
    """The logarithm of what a softmax of large logits returned, which has no gradient where that is zero."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        answers: Tensor = (14 * self.net(x)).softmax(1).log()
        return answers


def test_where_some_images_have_no_gradient_attacks_take_that_of_the_undefended_network(digits: Dataset) -> None:
    net, data = load_model("digits-resnet-iat").eval(), digits.take(24)
    attacks = ["clean", "apgd-ce", "bpda-apgd-cw"]
    found = evaluate(net, data, defences=["undefended", Sure(net)], attacks=attacks, eps=48 / 255, preset="quick")
    said = "without a useful gradient at some images: attacks take that of the undefended network there (BPDA)"
    assert said in str(found.parameters("network", "Sure"))
    left = {(row.defence, row.attack): row.accuracy for row in found.rows}
    assert left["Sure", "bpda-apgd-cw"] == left["undefended", "bpda-apgd-cw"]


class OneHot(nn.Module):
    """The labels of a network of its own, whatever it is given."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.own = load_model("digits-resnet-iat")

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.own(x)
        return 5 * F.one_hot(scores.argmax(1), 10).float()


def test_a_network_of_its_own_inside_of_a_defence_lends_its_gradient(digits: Dataset) -> None:
    """Then attacks begin with what they find there, too; oblivious ones know nothing of it."""
    plain, robust = (load_model(name).eval() for name in ("digits-resnet-mixup", "digits-resnet-iat"))
    data, attacks = digits.take(24), ["clean", "apgd-t", "bpda-apgd-cw", "bpda-apgd-t"]
    more: dict[str, Any] = {"eps": 36 / 255, "preset": "quick"}
    found = evaluate(plain, data, defences=["undefended", OneHot], attacks=attacks, **more)
    assert "attacks take that of the network at own inside of it" in str(found.parameters("network", "OneHot"))
    left = {row.attack: row.accuracy for row in found.rows if row.defence == "OneHot"}
    alone = evaluate(robust, data, defences=["undefended"], attacks=["apgd-t"], **more).rows[0].accuracy
    assert left["apgd-t"] > 90
    assert left["bpda-apgd-t"] <= alone + 10
    same = evaluate(robust, data.take(2), defences=["undefended", OneHot], attacks=["clean"], **more)
    assert "attacks take that of the undefended network" in str(same.parameters("network", "OneHot"))
