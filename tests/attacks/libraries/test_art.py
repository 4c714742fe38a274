"""ART's evasion attacks by name: all that take a classifier of images, their own code unchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from art.attacks import evasion
from art.attacks.attack import EvasionAttack
from art.estimators.classification import PyTorchClassifier
from attacks.libraries.sweeping import EPS, attacked, check, fast, swept
from networks import TinyNet
from torch import nn

from counteract import DefendedModule, GaussianNoise, _random, attack
from counteract._network import borrowed
from counteract._seeding import seeded
from counteract._signatures import signature_of
from counteract.attacks import AttackError, attack_keys, example_keys, find_attack
from counteract.attacks.libraries import art as library
from counteract.attacks.libraries.names import read_name
from counteract.attacks.norms import Name
from counteract.datasets import Dataset

MORE = {
    "CarliniL0Method": "binary_search_steps=1, max_halving=1, max_doubling=1",
    "CarliniL2Method": "max_halving=1, max_doubling=1",
    "CarliniLInfMethod": "max_iter=2, largest_const=1e-4",
    "CompositeAdversarialAttackPyTorch": "max_iter=1, max_inner_iter=1",
    "GeoDA": "max_iter=500",
    "HopSkipJump": "max_iter=1",
    "PixelAttack": "th=1, max_iter=1",
    "SimBA": "max_iter=10",
    "SaliencyMapMethod": "gamma=0.002",
    "ShadowAttack": "batch_size=4",
    "SignOPTAttack": "max_iter=1",
    "SpatialTransformation": "max_translation=10.0, num_translations=2, max_rotation=20.0, num_rotations=2",
    "ThresholdAttack": "es=1, th=4, max_iter=1",
    "UniversalPerturbation": "max_iter=1",
    "VirtualAdversarialMethod": "max_iter=1",
    "Wasserstein": "regularization=100",
    "ZooAttack": "max_iter=1",
}
"""Arguments for less effort, or for any."""

SLOW = (
    "CompositeAdversarialAttackPyTorch", "PixelAttack", "ThresholdAttack", "UniversalPerturbation",
    "VirtualAdversarialMethod", "Wasserstein", "ZooAttack",
)  # fmt: skip
"""The attacks that ask about pixel after pixel, or image after image."""

SLOWEST = ("ThresholdAttack", "VirtualAdversarialMethod")
"""Those that take a minute for an image."""

FAILING = {
    "AutoAttack": "No module named 'multiprocess'",
    "GeoDA": "np.mat",
    "ThresholdAttack": "No module named 'cma'",
}
"""The attacks that fail with the packages of a machine, and what they say."""

USABLE = [name for name in library.names() if name != "TargetedUniversalPerturbation"]


@pytest.fixture(scope="module")
def four(digits: Dataset) -> Dataset:
    return digits.take(4)


def named(name: str, suffix: str = "") -> str:
    return swept("art", name, signature_of(getattr(evasion, name)), MORE.get(name, ""), suffix)


def bounded(name: str, norm: Name = "Linf") -> bool:
    return norm in library.find(read_name(f"art:{name}")).bounded


def swept_over(text: str, name: str, module: nn.Module, data: Dataset) -> None:
    """Checks an attack, the slowest on one image, or else that it fails in a line as it is known to."""
    failure, data = "", data.take(1) if name in SLOWEST else data
    try:
        check(text, module, data, bounded=bounded(name))
    except AttackError as error:
        failure = str(error)
    assert not failure or FAILING.get(name, "nothing") in failure
    assert len(failure) <= 300


@pytest.mark.parametrize("name", fast(USABLE, SLOW))
def test_every_attack_on_the_undefended_network(name: str, digits_net: nn.Module, four: Dataset) -> None:
    swept_over(named(name), name, digits_net, four)


@pytest.mark.parametrize("name", fast(USABLE, SLOW))
def test_every_attack_through_a_random_defence(name: str, four: Dataset) -> None:
    defended = DefendedModule(TinyNet().eval(), transforms=[GaussianNoise(0.1)])
    swept_over(named(name) + "@defended", name, defended, four)


@pytest.mark.parametrize("name", fast(library.names(), SLOW))
def test_every_targeted_mode(name: str, four: Dataset) -> None:
    if not library.find(read_name(f"art:{name}")).targets:
        with pytest.raises(ValueError, match="has no targeted mode"):
            find_attack(f"art:{name}-targeted")
        return
    swept_over(named(name, "-targeted"), name, TinyNet().eval(), four)


def test_they_are_all_that_it_exports_but_for_those_that_are_said_to_be_of_no_use() -> None:
    kinds = {name: kind for name, kind in vars(evasion).items() if isinstance(kind, type)}
    exported = {name for name, kind in kinds.items() if issubclass(kind, EvasionAttack)}
    assert exported == {*library.names(), *library.UNUSABLE}
    assert len(library.names()) >= 33
    for name in library.UNUSABLE:
        with pytest.raises(ValueError, match=f"attack art:{name} cannot be used here: it "):
            find_attack(f"art:{name}")


def test_those_of_no_use_are_refused_by_art_too(digits_net: nn.Module) -> None:
    """Or lack arguments, or return something else: nothing is left out that would have run."""
    options = {"loss": nn.CrossEntropyLoss(), "input_shape": (3, 32, 32), "nb_classes": 10, "clip_values": (0, 1)}
    classifier = PyTorchClassifier(digits_net, **options, device_type="cpu")
    made = []
    for name in library.UNUSABLE:
        try:
            made.append((name, getattr(evasion, name)(classifier)))
        except (AttributeError, TypeError, ValueError, ImportError):
            continue
    assert [name for name, _ in made] == [
        "AdversarialPatchPyTorch", "LowProFool", "OverTheAirFlickeringPyTorch", "ProjectedGradientDescentTensorFlowV2",
    ]  # fmt: skip
    images, labels = np.zeros((2, 3, 32, 32), np.float32), np.eye(10, dtype=np.float32)[:2]
    for _, unfit in made[1:]:
        with pytest.raises((ImportError, IndexError, ValueError)):
            unfit.generate(images, labels)


def test_the_attacks_that_keep_our_bound() -> None:
    assert {name for name in library.names() if bounded(name)} == {
        "AutoAttack", "AutoConjugateGradient", "AutoProjectedGradientDescent", "BasicIterativeMethod",
        "FastGradientMethod", "MomentumIterativeMethod", "ProjectedGradientDescent", "ProjectedGradientDescentNumpy",
        "ProjectedGradientDescentPyTorch", "RescalingAutoConjugateGradient", "SquareAttack",
        "TargetedUniversalPerturbation", "UniversalPerturbation",
    }  # fmt: skip


def test_the_attacks_that_keep_the_bounds_of_other_norms() -> None:
    linf = {name for name in library.names() if bounded(name)}
    l2 = {name for name in library.names() if bounded(name, "L2")}
    assert l2 == linf - {"BasicIterativeMethod"} | {"VirtualAdversarialMethod"}
    assert {name for name in library.names() if bounded(name, "L1")} == linf - {"BasicIterativeMethod", "SquareAttack"}


@pytest.mark.parametrize("norm", ["L2", "L1"])
@pytest.mark.parametrize(
    "name", ["AutoProjectedGradientDescent", "FastGradientMethod", "HopSkipJump", "ProjectedGradientDescent"]
)
def test_attacks_within_other_norms(name: str, norm: Name, digits_net: nn.Module, four: Dataset) -> None:
    check(named(name), digits_net, four, bounded=bounded(name, norm), norm=norm)


ALONE: dict[str, dict[str, Any]] = {
    "ProjectedGradientDescent": {"norm": np.inf, "eps": EPS, "eps_step": EPS / 3, "max_iter": 3, "num_random_init": 1},
    "FastGradientMethod": {"eps": EPS},
    "SquareAttack": {"eps": EPS, "max_iter": 5},
    "AutoProjectedGradientDescent": {"eps": EPS, "eps_step": EPS / 3, "max_iter": 3, "nb_random_init": 1},
    "NewtonFool": {"max_iter": 2},
    "SaliencyMapMethod": {"gamma": 0.002},
}


@pytest.mark.parametrize("name", ALONE)
def test_the_result_is_that_of_the_library_alone(name: str, digits_net: nn.Module, four: Dataset) -> None:
    """With a step of ART's own share of the bound, from the same state of the generators, projected where needed."""
    kind, ours = getattr(evasion, name), ("max_iter", "num_random_init", "nb_random_init", "gamma")
    arguments = ", ".join(f"{key}={value}" for key, value in ALONE[name].items() if key in ours)
    found, _ = attacked(f"art:{name}({arguments})", digits_net, four)
    images, labels = four.images.numpy(), np.eye(10, dtype=np.float32)[four.labels.numpy()]
    options = {"loss": nn.CrossEntropyLoss(), "input_shape": (3, 32, 32), "nb_classes": 10, "clip_values": (0, 1)}
    keys = attack_keys(example_keys(0, torch.arange(4)))
    quiet = {"verbose": False} if "verbose" in signature_of(kind) else {}
    with borrowed(digits_net), seeded(int(_random.fold(keys[0], 4))):
        classifier = PyTorchClassifier(digits_net, **options, device_type="cpu")
        alone = kind(classifier, **ALONE[name], **quiet).generate(
            images, None if name == "SaliencyMapMethod" else labels
        )
    change = (torch.from_numpy(alone) - four.images).clamp(-EPS, EPS)
    torch.testing.assert_close(found, (four.images + change).clamp(0, 1), rtol=0, atol=1e-6)
    assert not torch.equal(found, four.images)


def test_generators_that_nobody_seeds_are_seeded_while_an_attack_runs(four: Dataset) -> None:
    before = np.random.RandomState
    net = TinyNet().eval()
    found, _ = attacked("art:BoundaryAttack(max_iter=2, init_size=20)", net, four)
    again, _ = attacked("art:BoundaryAttack(max_iter=2, init_size=20)", net, four)
    assert torch.equal(found, again)
    assert np.random.RandomState is before


def test_a_norm_follows_the_threat_model(four: Dataset) -> None:
    """HopSkipJump measures distances in L2 by default, and in the max norm here."""
    net = TinyNet().eval()
    little = "max_iter=1, max_eval=20, init_eval=10"
    default, _ = attacked(f"art:HopSkipJump({little})", net, four)
    named, _ = attacked(f"art:HopSkipJump({little}, norm='inf')", net, four)
    other, _ = attacked(f"art:HopSkipJump({little}, norm=2)", net, four)
    assert torch.equal(default, named)
    assert not torch.equal(default, other)


def test_what_is_targeted_alone_says_so(four: Dataset) -> None:
    with pytest.raises(ValueError, match="write art:TargetedUniversalPerturbation-targeted"):
        attack("art:TargetedUniversalPerturbation", TinyNet().eval(), four.images, four.labels)


@pytest.mark.parametrize("name", ["FastGradientMethod", "SquareAttack(max_iter=3)", "BasicIterativeMethod"])
def test_a_network_of_two_classes_in_double_precision(name: str, four: Dataset) -> None:
    net = TinyNet(2).double().eval()
    found = attack(f"art:{name}", net, four.images, four.labels % 2, eps=EPS)
    assert found.dtype == torch.float32
    assert not torch.equal(found, four.images)


def test_mistakes_in_arguments_are_refused_before_the_attack_runs(four: Dataset) -> None:
    net = TinyNet().eval()
    for name, message in {
        "art:HopSkipJump(max_eval=5)": "cannot be made: ValueError: The maximum number of evaluations",
        "art:ProjectedGradientDescent(eps_step=-1)": "cannot be made: ",
        "art:SquareAttack(verbose=True)": "argument 'verbose' is not known",
        "art:SquareAttack(maxiter=5)": "did you mean max_iter",
    }.items():
        with pytest.raises(ValueError, match=message) as refused:
            attack(name, net, four.images, four.labels)
        assert not isinstance(refused.value, AttackError)
