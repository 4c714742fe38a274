"""From names to defended networks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract import Counteraction, DefendedModule, MixupInference, RandomCropResize
from counteract._errors import UserError
from counteract.datasets import ArrayDataset
from counteract.defences import (
    Ingredients,
    Values,
    check_parameters,
    defence_names,
    describe_defence,
    forward_passes,
    parse_defence,
)
from counteract.defences import build_defence as build
from counteract.defences.build import build_in_hand
from counteract.preprocessors._window import RandomWindow
from counteract.whole import WholeModule

GIVEN = check_parameters({"crop-resize": {"size": (20, 25), "executions": 4}, "mixup-inference": {"executions": 6}})


@pytest.fixture
def ingredients(net: nn.Module, pool: tuple[Tensor, Tensor]) -> Ingredients:
    return Ingredients(net, torch.rand(2, 3, 32, 32), 10, lambda: ArrayDataset("pool", *pool, tuple("0123456789")))


def build_defence(name: str, of: Ingredients, values: Values) -> DefendedModule:
    found = build(name, of, values).defended
    assert isinstance(found, DefendedModule)
    return found


def test_every_name_builds_and_classifies(ingredients: Ingredients, x: Tensor) -> None:
    assert len(defence_names()) == 15
    for name in defence_names():
        defended = build_defence(name, ingredients, GIVEN)
        assert defended(x).shape == (6, 10)
        differs = not torch.allclose(defended(x), ingredients.network(x).log_softmax(1))
        assert differs == (name != "undefended")
    assert parse_defence("none") == parse_defence("undefended") == ()


def test_a_parameter_may_name_a_module_of_the_network(ingredients: Ingredients, x: Tensor) -> None:
    """Parameters are tried without the network, before there is one."""
    defended = build_defence("test-time-counterattack(features='conv')", ingredients, {})
    assert defended(x).shape == (6, 10)
    with pytest.raises(ValueError, match=r"test-time-counterattack: features .* \(conv, norm, head\), found 'cov'"):
        build_defence("test-time-counterattack(features='cov')", ingredients, {})


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
    assert (crop.sides(32, 32), default.executions) == ((22, 30), 50)
    changed = check_parameters({"counteraction": {"num_labels": 3, "eps": "4/255"}})
    (other,) = build_defence("counteraction-untargeted", ingredients, changed).preprocessing_defences
    assert isinstance(other, Counteraction)
    assert (other.eps, other.num_labels, other.targeted) == (4 / 255, 3, False)
    with pytest.raises(ValueError, match="counteraction-untargeted: targeted must be False, found True"):
        build_defence("counteraction-untargeted(targeted=True)", ingredients, {})


@pytest.mark.parametrize(
    ("side", "size"), [(32, (22, 30)), (64, (44, 60)), (224, (154, 210)), (28, (19, 26)), (3, (2, 3)), (1, (1, 1))]
)
@pytest.mark.parametrize("name", ["crop-resize", "resize-pad", "crop-pad"])
def test_without_a_size_the_papers_share_of_the_side_is_cropped(
    net: nn.Module, name: str, side: int, size: tuple[int, int]
) -> None:
    (crop,) = build_defence(name, Ingredients(net, torch.rand(2, 3, side, side + 9), 10, list), {}).transforms  # type: ignore[arg-type]
    assert isinstance(crop, RandomWindow)
    assert crop.sides(side, side + 9) == size


@pytest.mark.parametrize("size", [(22, 30), (100, 224), (112, 225)])
def test_sizes_that_make_no_sense_are_refused_with_the_range_that_would(net: nn.Module, size: tuple[int, int]) -> None:
    large = Ingredients(net, torch.rand(2, 3, 224, 300), 10, list)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"crop-pad: size must lie within 112-224 for images of 224 x 300, found \d+-\d+"
    ):
        build_defence("counteraction+crop-pad", large, check_parameters({"crop-pad": {"size": size}}))
    build_defence("crop-pad", large, check_parameters({"crop-pad": {"size": (112, 224)}}))


def test_parameters_in_words() -> None:
    def words(name: str, values: Values, shape: tuple[int, int, int] = (3, 32, 32)) -> str:
        return describe_defence(name, check_parameters(values), shape)

    assert words("counteraction+crop-resize", {}) == (
        "counteraction: targeted, N = 9, eps 8/255, eps_step 4/255; crop-resize: size 22-30, 50 executions"
    )
    assert words("undefended", {}) == ""
    assert words("crop-resize", GIVEN) == "crop-resize: size 20-25, 4 executions"
    assert words("crop-pad", GIVEN, (3, 64, 80)) == "crop-pad: size 44-60, 50 executions"
    given = {"counteraction": {"combine": "sign-of-sum", "eps": 0.03, "eps_step": 2.5 / 255}}
    assert words("counteraction-untargeted", given) == (
        "counteraction-untargeted: untargeted, N = 9, eps 0.03, eps_step 2.5/255, sign-of-sum"
    )
    assert words("counteraction", {"counteraction": {"steps": 3}}) == (
        "counteraction: targeted, N = 9, eps 8/255, eps_step 4/255, 3 steps"
    )
    assert words("hedge", {}) == "hedge: eps 0.031, eps_step 0.007, steps 20"
    assert words("mixup-inference", {}) == "mixup-inference: weight 0.5, 30 executions"
    assert words("gaussian-noise", {}) == "gaussian-noise: std 0.025, 50 executions"


def test_arguments_in_brackets_win_over_a_specs_parameters(ingredients: Ingredients) -> None:
    name = "counteraction(num_labels=5, eps='16/255')+crop-resize(size=(24, 28))"
    found = build_defence(name, ingredients, GIVEN | {"counteraction": {"num_labels": 2, "eps_step": 0.25}})
    (counteraction,), (crop,) = found.preprocessing_defences, found.transforms
    assert isinstance(counteraction, Counteraction)
    assert (counteraction.num_labels, counteraction.eps, counteraction.eps_step) == (5, 16 / 255, 0.25)
    assert isinstance(crop, RandomCropResize)
    assert (crop.size, found.executions) == ((24, 28), 4)


def test_of_fewer_classes_fewer_labels_are_drawn_unless_more_are_asked_for(net: TinyNet, x: Tensor) -> None:
    class Three(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            found: Tensor = net(images)[:, :3]
            return found

    three = Ingredients(Three(), x, 3, list)  # type: ignore[arg-type]
    for name in ("counteraction", "counteraction-untargeted"):
        (found,) = build_defence(name, three, {}).preprocessing_defences
        assert isinstance(found, Counteraction)
        assert found.num_labels == 2
    with pytest.raises(ValueError, match=r"num_labels is 9, but labels='non-predicted' leaves only 2 to draw from"):
        build_defence("counteraction(num_labels=9)", three, {})


def test_logits_are_averaged_where_a_spec_says_so(ingredients: Ingredients) -> None:
    found = build('crop-pad(executions=3, average="logits")', ingredients, {})
    assert isinstance(found.defended, DefendedModule)
    assert found.defended.average == "logits"
    assert found.words == "crop-pad: size 22-30, 3 executions, logits averaged"
    with pytest.raises(ValueError, match="averages both probabilities and logits"):
        build_defence('crop-pad(average="logits")+gaussian-noise(average="probabilities")', ingredients, {})


def test_anything_can_be_redrawn_for_each_of_several_executions(ingredients: Ingredients, x: Tensor) -> None:
    found = build_defence("art:Cutout(length=8, executions=3)", ingredients, {})
    assert (len(found.preprocessing_defences), len(found.transforms), found.executions) == (0, 1, 3)
    once = build_defence("art:Cutout(length=8)", ingredients, {})
    assert (len(once.preprocessing_defences), len(once.transforms), once.executions) == (1, 0, 1)
    assert found(x).shape == (6, 10)


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
        ("test-time-counterattack", 6),
        ("energy-descent", 3),
        ("total-variation", 1),
        ("augmentation-ensemble(executions=4)", 4),
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


def test_of_a_whole_module_one_pass_is_counted(net: nn.Module) -> None:
    assert forward_passes(WholeModule(net)) == 1
    assert forward_passes(DefendedModule(net)) == 1


def _count(gradients: Sequence[Tensor] | Tensor) -> int:
    """The number of rows of a backward pass."""
    return len(gradients[0])


def test_a_function_of_images_is_told_that_it_gets_the_network(ingredients: Ingredients) -> None:
    def rounded(x: Tensor) -> Tensor:
        return x.round()

    with pytest.raises(UserError, match=r"^defence rounded, called with the network, failed with AttributeError: "):
        build_in_hand(rounded, ingredients)
