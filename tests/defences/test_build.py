"""From names to defended networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract import Counteraction, DefendedModule, MixupInference, RandomCropResize
from counteract.datasets import ArrayDataset
from counteract.defences import (
    DEFENCES,
    Ingredients,
    build_defence,
    check_parameters,
    defence_lines,
    defence_names,
    describe_parameters,
    forward_passes,
    parse_defence,
)
from counteract.whole import WholeModule

GIVEN = check_parameters({"crop-resize": {"size": (20, 25), "executions": 4}, "mixup-inference": {"executions": 6}})


@pytest.fixture
def ingredients(net: nn.Module, pool: tuple[Tensor, Tensor]) -> Ingredients:
    return Ingredients(net, (3, 32, 32), lambda: ArrayDataset("pool", *pool, tuple("0123456789")))


def test_every_name_builds_and_classifies(ingredients: Ingredients, x: Tensor) -> None:
    assert len(defence_names()) == 11
    for name in defence_names():
        defended = build_defence(name, ingredients, GIVEN)
        assert defended(x).shape == (6, 10)
        differs = not torch.allclose(defended(x), ingredients.network(x).log_softmax(1))
        assert differs == (name != "undefended")
    assert parse_defence("none") == parse_defence("undefended") == ()


def test_every_defence_has_one_line() -> None:
    assert [name for name, _ in defence_lines()] == defence_names()
    assert all(text and "\n" not in text for _, text in defence_lines())


def test_what_runs_once_and_what_is_repeated(ingredients: Ingredients) -> None:
    before = build_defence("counteraction-untargeted+crop-resize+mixup-inference", ingredients, GIVEN)
    (first,) = before.preprocessing_defences
    assert isinstance(first, Counteraction)
    assert not first.targeted
    assert [type(t) for t in before.transforms] == [RandomCropResize, MixupInference]
    assert before.executions == 6
    after = build_defence("crop-resize+counteraction", ingredients, GIVEN)
    assert not after.preprocessing_defences
    assert [type(t) for t in after.transforms] == [RandomCropResize, Counteraction]


def test_parameters_arrive_and_the_papers_are_the_defaults(ingredients: Ingredients) -> None:
    (crop,) = build_defence("crop-resize", ingredients, GIVEN).transforms
    assert isinstance(crop, RandomCropResize)
    assert crop.size == (20, 25)
    default = build_defence("counteraction+crop-resize", ingredients, {})
    (counteraction,), (crop,) = default.preprocessing_defences, default.transforms
    assert isinstance(counteraction, Counteraction)
    assert (counteraction.eps, counteraction.eps_step, counteraction.num_labels) == (8 / 255, 4 / 255, 9)
    assert isinstance(crop, RandomCropResize)
    assert (crop.size, default.executions) == ((22, 30), 50)
    changed = check_parameters({"counteraction": {"num_labels": 3, "eps": "4/255"}})
    (other,) = build_defence("counteraction-untargeted", ingredients, changed).preprocessing_defences
    assert isinstance(other, Counteraction)
    assert (other.eps, other.num_labels, other.targeted) == (4 / 255, 3, False)


@pytest.mark.parametrize(
    ("side", "size"), [(32, (22, 30)), (64, (44, 60)), (224, (154, 210)), (28, (19, 26)), (3, (2, 3)), (1, (1, 1))]
)
@pytest.mark.parametrize("name", ["crop-resize", "resize-pad", "crop-pad"])
def test_without_a_size_the_papers_share_of_the_side_is_cropped(
    net: nn.Module, name: str, side: int, size: tuple[int, int]
) -> None:
    (crop,) = build_defence(name, Ingredients(net, (3, side, side + 9), list), {}).transforms  # type: ignore[arg-type]
    assert crop.size == size


@pytest.mark.parametrize("size", [(22, 30), (100, 224), (112, 225), (300, 200)])
def test_sizes_that_make_no_sense_are_refused_with_the_range_that_would(net: nn.Module, size: tuple[int, int]) -> None:
    large = Ingredients(net, (3, 224, 300), list)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"crop-pad: size must lie within 112-224 for images of 224 x 300, found \d+-\d+"
    ):
        build_defence("counteraction+crop-pad", large, check_parameters({"crop-pad": {"size": size}}))
    build_defence("crop-pad", large, check_parameters({"crop-pad": {"size": (112, 224)}}))


def test_parameters_in_words() -> None:
    words = describe_parameters("counteraction+crop-resize", {})
    assert words == (
        "counteraction: targeted, N = 9, eps 8/255, eps_step 4/255; crop-resize: size 22-30 of 32, 50 executions"
    )
    assert describe_parameters("undefended", GIVEN) == ""
    assert describe_parameters("crop-resize", GIVEN, (3, 32, 32)) == "crop-resize: size 20-25, 4 executions"
    assert describe_parameters("crop-pad", GIVEN, (3, 64, 80)) == "crop-pad: size 44-60, 50 executions"
    given = check_parameters({"counteraction": {"combine": "sign-of-sum", "eps": 0.03, "eps_step": 2.5 / 255}})
    assert describe_parameters("counteraction-untargeted", given) == (
        "counteraction-untargeted: untargeted, N = 9, eps 0.03, eps_step 2.5/255, sign-of-sum"
    )
    stepped = check_parameters({"counteraction": {"steps": 3}})
    assert describe_parameters("counteraction", stepped) == (
        "counteraction: targeted, N = 9, eps 8/255, eps_step 4/255, 3 steps"
    )
    others = {name: describe_parameters(name, {}) for name in DEFENCES}
    assert others["hedge"] == "hedge: eps 0.031, eps_step 0.007, steps 20"
    assert others["mixup-inference"] == "mixup-inference: weight 0.5, 30 executions"
    assert others["gaussian-noise"] == "gaussian-noise: std 0.025, 50 executions"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"crop-resise": {}}, "defence 'crop-resise' is not known; did you mean crop-resize"),
        ({"crop-resize": {"sizes": 1}}, "crop-resize: sizes: Extra"),
        ({"counteraction": {"eps": "big"}}, "counteraction: eps: .*found 'big'"),
        ({"counteraction-untargeted": {}}, "has no parameters of its own: give those of counteraction"),
        ({"undefended": {}}, "defence 'undefended' is not known"),
    ],
)
def test_wrong_parameters(values: dict[str, dict[str, Any]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_parameters(values)


def test_what_is_not_given_counts_as_unset() -> None:
    assert GIVEN["mixup-inference"].model_dump(exclude_unset=True) == {"executions": 6}


@pytest.mark.parametrize(
    ("name", "cost"),
    [
        ("undefended", 1),
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
    defended = build_defence(name, ingredients, GIVEN)
    assert forward_passes(defended) == cost
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
    with pytest.raises(ValueError, match="defence '' is not known; known: undefended, counteraction"):
        parse_defence("counteraction+")


def test_of_a_whole_module_one_pass_is_counted(net: nn.Module) -> None:
    assert forward_passes(WholeModule(net)) == 1
    assert forward_passes(DefendedModule(net)) == 1


def _count(gradients: Sequence[Tensor] | Tensor) -> int:
    """The number of rows of a backward pass."""
    return len(gradients[0])
