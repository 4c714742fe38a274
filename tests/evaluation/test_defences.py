"""From names to defended networks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract import Counteraction, MixupInference, RandomCropResize
from counteract.datasets import Dataset
from counteract.evaluation.defences import Ingredients, build_defence, defence_names, forward_equivalents, parse_defence
from counteract.evaluation.parameters import DefenceParameters


@pytest.fixture
def ingredients(net: nn.Module, pool: tuple[Tensor, Tensor]) -> Ingredients:
    parameters = DefenceParameters.model_validate(
        {"crop-resize": {"size": (20, 25), "executions": 4}, "mixup-inference": {"executions": 6}}
    )
    return Ingredients(net, parameters, lambda: Dataset("pool", *pool, tuple("0123456789")))


def test_every_name_builds_and_classifies(ingredients: Ingredients, x: Tensor) -> None:
    assert len(defence_names()) == 11
    for name in defence_names():
        defended = build_defence(name, ingredients)
        assert defended(x).shape == (6, 10)
        differs = not torch.allclose(defended(x), ingredients.network(x).log_softmax(1))
        assert differs == (name != "none")


def test_what_runs_once_and_what_is_repeated(ingredients: Ingredients) -> None:
    before = build_defence("counteraction-untargeted+crop-resize+mixup-inference", ingredients)
    (first,) = before.preprocessing_defences
    assert isinstance(first, Counteraction)
    assert not first.targeted
    assert [type(t) for t in before.transforms] == [RandomCropResize, MixupInference]
    assert before.executions == 6
    after = build_defence("crop-resize+counteraction", ingredients)
    assert not after.preprocessing_defences
    assert [type(t) for t in after.transforms] == [RandomCropResize, Counteraction]


def test_parameters_arrive(ingredients: Ingredients) -> None:
    (crop,) = build_defence("crop-resize", ingredients).transforms
    assert isinstance(crop, RandomCropResize)
    assert crop.size == (20, 25)


@pytest.mark.parametrize(
    ("name", "cost"),
    [
        ("none", 1),
        ("counteraction", 11),
        ("crop-resize", 4),
        ("counteraction+crop-resize", 14),
        ("mixup-inference", 7),
        ("crop-resize+counteraction", 44),
        ("hedge", 41),
        ("anti-adversary", 5),
    ],
)
def test_the_cost_is_what_the_network_really_does(ingredients: Ingredients, x: Tensor, name: str, cost: int) -> None:
    defended = build_defence(name, ingredients)
    assert forward_equivalents(defended) == cost
    defended(x[:1])  # the first call of counteraction also counts the labels
    rows: list[int] = []
    network = ingredients.network
    assert isinstance(network, TinyNet)
    network.register_forward_hook(lambda module, inputs, output: rows.append(len(inputs[0])))
    network.conv.register_full_backward_hook(lambda module, _, output: rows.append(_count(output)))
    defended(x)
    assert sum(rows) == cost * len(x)


def test_a_typo_lists_near_names() -> None:
    with pytest.raises(ValueError, match=r"defence 'crop-rezise' is not known; did you mean crop-resize"):
        parse_defence("counteraction+crop-rezise")
    with pytest.raises(ValueError, match="defence '' is not known; known: none, counteraction"):
        parse_defence("counteraction+")


def _count(gradients: Sequence[Tensor] | Tensor) -> int:
    """How many rows a backward pass had."""
    return len(gradients[0])
