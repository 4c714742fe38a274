"""torchattacks by name: every attack that it exports, its own code unchanged."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchattacks
from attacks.libraries.sweeping import EPS, attacked, check, fast, swept
from networks import TinyNet
from torch import nn

from counteract import DefendedModule, GaussianNoise, _random, attack
from counteract._network import borrowed
from counteract._seeding import seeded
from counteract._signatures import signature_of
from counteract.attacks import attack_keys, draw_targets, example_keys, find_attack
from counteract.attacks.libraries import torchattacks as library
from counteract.attacks.libraries.names import read_name
from counteract.attacks.norms import Name
from counteract.datasets import Dataset

MORE = {"JSMA": "gamma=0.0001", "SPSA": "nb_sample=2", "SparseFool": "steps=1"}
"""Arguments for less effort."""

FAST = fast(library.names(), ("JSMA",))
"""All but one, which computes with every pair of pixels."""


@pytest.fixture(scope="module")
def four(digits: Dataset) -> Dataset:
    return digits.take(4)


def named(name: str, suffix: str = "") -> str:
    return swept("torchattacks", name, signature_of(getattr(torchattacks, name)), MORE.get(name, ""), suffix)


def bounded(name: str, norm: Name = "Linf") -> bool:
    return norm in library.find(read_name(f"torchattacks:{name}")).bounded


def test_they_are_all_that_it_exports() -> None:
    assert len(library.names()) == 37
    assert {"LGV", "MultiAttack"} == set(torchattacks.__all__) - set(library.names())


@pytest.mark.parametrize("name", library.names())
def test_every_attack_on_the_undefended_network(name: str, digits_net: nn.Module, four: Dataset) -> None:
    check(named(name), digits_net, four, bounded=bounded(name))


@pytest.mark.parametrize("name", FAST)
def test_every_attack_through_a_random_defence(name: str, four: Dataset) -> None:
    defended = DefendedModule(TinyNet().eval(), transforms=[GaussianNoise(0.1)])
    check(named(name) + "@defended", defended, four, bounded=bounded(name))


@pytest.mark.parametrize("name", FAST)
def test_every_targeted_mode(name: str, four: Dataset) -> None:
    if not library.find(read_name(f"torchattacks:{name}")).targets:
        with pytest.raises(ValueError, match="has no targeted mode"):
            find_attack(f"torchattacks:{name}-targeted")
        return
    assert find_attack(named(name, "-targeted")).targeted
    check(named(name, "-targeted"), TinyNet().eval(), four, bounded=bounded(name))


def test_the_attacks_that_keep_no_bound_of_ours_are_said_to_be_projected(digits_net: nn.Module, four: Dataset) -> None:
    unbounded = {name for name in library.names() if not bounded(name)}
    assert unbounded == {
        "CW", "DeepFool", "EADEN", "EADL1", "GN", "JSMA", "OnePixel", "PGDL2", "PGDRSL2", "Pixle", "SparseFool",
        "VANILA",
    }  # fmt: skip
    for name in ("GN", "OnePixel"):
        found, said = attacked(f"torchattacks:{name}", digits_net, four)
        assert len(said) == 1
        assert "4 of 4 results lay outside of the threat model, and were projected onto it" in said[0]
        assert (found - four.images).abs().max().item() == pytest.approx(EPS, abs=1e-6)


def test_the_attacks_that_keep_the_bounds_of_other_norms() -> None:
    those = {"APGD", "APGDT", "AutoAttack", "FAB", "PGDL2", "PGDRSL2", "Square"}
    assert {name for name in library.names() if bounded(name, "L2")} == those
    assert {name for name in library.names() if bounded(name, "L1")} == {"FAB"}


@pytest.mark.parametrize("name", ["APGD", "APGDT", "FAB", "PGD", "PGDL2", "Square"])
def test_attacks_within_l2(name: str, digits_net: nn.Module, four: Dataset) -> None:
    _, said = check(named(name), digits_net, four, bounded=bounded(name, "L2"), norm="L2")
    assert bool(said) == (name == "PGD")


def test_an_attack_that_does_not_know_the_norm_keeps_its_own_and_is_projected(
    digits_net: nn.Module, four: Dataset
) -> None:
    _, said = check(named("APGD"), digits_net, four, bounded=False, norm="L1")
    assert "4 of 4 results lay outside" in said[0]


ALONE: dict[str, dict[str, Any]] = {
    "PGD": {"eps": EPS, "alpha": EPS / 4, "steps": 3},
    "FFGSM": {"eps": EPS, "alpha": EPS * 1.25},
    "SINIFGSM": {"eps": EPS, "alpha": EPS / 4, "steps": 2},
    "DIFGSM": {"eps": EPS, "alpha": EPS / 4, "steps": 3},
    "PIFGSM": {"max_epsilon": EPS, "num_iter_set": 3},
    "APGD": {"norm": "Linf", "eps": EPS, "steps": 3},
    "FAB": {"norm": "Linf", "eps": EPS, "steps": 3, "n_classes": 10},
    "SPSA": {"eps": EPS, "nb_sample": 2},
}


@pytest.mark.parametrize("name", ALONE)
def test_the_result_is_that_of_the_library_alone(name: str, digits_net: nn.Module, four: Dataset) -> None:
    """Called with the same bound, and a step of the same share of it, from the same state of the generators."""
    kind, ours = getattr(torchattacks, name), ("steps", "num_iter_set", "nb_sample")
    arguments = ", ".join(f"{key}={value}" for key, value in ALONE[name].items() if key in ours)
    found, _ = attacked(f"torchattacks:{name}({arguments})", digits_net, four)
    keys = attack_keys(example_keys(0, torch.arange(4)))
    more = dict(ALONE[name])
    with borrowed(digits_net), seeded(int(_random.fold(keys[0], 4))):
        if "seed" in signature_of(kind):
            more["seed"] = int(torch.randint(2**31, ()))
        alone = kind(digits_net, **more)(four.images, four.labels)
    assert torch.equal(found, alone)
    assert not torch.equal(found, four.images)


def test_the_user_has_the_last_word(digits_net: nn.Module, four: Dataset) -> None:
    default, _ = attacked("torchattacks:FGSM", digits_net, four)
    half, _ = attacked("torchattacks:FGSM(eps=6/255)", digits_net, four)
    assert (half - four.images).abs().max().item() == pytest.approx(EPS / 2, abs=1e-7)
    _, said = attacked("torchattacks:FGSM(eps=24/255)", digits_net, four)
    assert "were projected" in said[0]
    step, _ = attacked("torchattacks:BIM(eps=6/255, steps=1)", digits_net, four)
    assert (step - four.images).abs().max().item() == pytest.approx(EPS / 8, abs=1e-7)
    step, _ = attacked("torchattacks:BIM(alpha=1/255, steps=1)", digits_net, four)
    assert (step - four.images).abs().max().item() == pytest.approx(1 / 255, abs=1e-7)
    assert (default - four.images).abs().max().item() == pytest.approx(EPS, abs=1e-7)
    _, said = attacked("torchattacks:APGD(norm='L2', eps=1.0, steps=2)", digits_net, four)
    assert "were projected" in said[0]


def test_a_network_of_few_classes(four: Dataset) -> None:
    net, labels = TinyNet(4).eval(), four.labels % 4
    for name in ("APGDT", "FAB(multi_targeted=True)", "AutoAttack"):
        assert attack(f"torchattacks:{name}", net, four.images, labels, eps=EPS).shape == four.images.shape
    with pytest.raises(ValueError, match="it needs 4 classes, and the network has 3"):
        attack("torchattacks:APGDT", TinyNet(3).eval(), four.images, four.labels % 3, eps=EPS)


def test_targets_are_drawn_for_each_example(four: Dataset) -> None:
    """The network without hidden layers is pushed to the very labels that the keys draw."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)).eval()
    keys = attack_keys(example_keys(0, torch.arange(4)))
    targets = draw_targets(keys, four.labels, 10)
    found, _ = attacked("torchattacks:PGD-targeted(steps=20)", net, four)
    rise = (net(found).softmax(1) - net(four.images).softmax(1)).gather(1, targets[:, None])
    assert (rise > 0.05).all()
    assert (targets != four.labels).all()
