"""AutoAttack by name: the package's own results, and its warnings passed on."""

from __future__ import annotations

import sys
import warnings

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract import Counteraction, DefendedModule, GaussianNoise, _random, attack
from counteract._network import borrowed
from counteract._seeding import seeded
from counteract.attacks import AttackWarning, attack_keys, example_keys, find_attack
from counteract.datasets import Dataset

EPS = 12 / 255

CUSTOM = "autoattack(version='custom', attacks_to_run=['apgd-ce'])"


@pytest.fixture
def tiny(net: TinyNet, x: Tensor) -> tuple[TinyNet, Tensor, Tensor]:
    pytest.importorskip("pyautoattack")
    return net, x, net(x).argmax(1)


def said(name: str, module: nn.Module, images: Tensor, labels: Tensor) -> list[str]:
    """Returns what is said of an attack, in front of `See flags_doc.md`."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", AttackWarning)
        attack(name, module, images, labels, eps=EPS)
    return [str(each.message).partition(" See ")[0] for each in found]


def test_the_result_is_that_of_the_package_alone(digits_net: nn.Module, digits: Dataset) -> None:
    package = pytest.importorskip("pyautoattack")
    images, labels = digits.images[:8], digits.labels[:8]
    found = attack("autoattack", digits_net, images, labels, eps=EPS)
    with borrowed(digits_net), seeded(int(_random.fold(attack_keys(example_keys(0, torch.arange(8)))[0], 4))):
        seed = int(torch.randint(2**31, ()))
        alone = package.AutoAttack(digits_net, norm="Linf", eps=EPS, seed=seed, version="standard")
        expected, _ = alone.run_standard_evaluation(images, labels, batch_size=8)
    assert torch.equal(found, expected)
    assert (digits_net(found).argmax(1) == labels).sum() == 0


def test_arguments_are_passed_on(tiny: tuple[TinyNet, Tensor, Tensor]) -> None:
    net, images, labels = tiny
    one = attack(CUSTOM, net, images, labels, eps=EPS)
    other = attack("autoattack(version='custom', attacks_to_run=['apgd-dlr'])", net, images, labels, eps=EPS)
    assert not torch.equal(one, other)
    half = attack(CUSTOM.replace("(", "(eps=6/255, "), net, images, labels, eps=EPS)
    assert (half - images).abs().max().item() == pytest.approx(EPS / 2, abs=1e-6)
    for name, message in {
        "autoattack(verbose=True)": "argument 'verbose' is not known",
        "autoattack-rand(version='plus')": "argument 'version' is not known",
        "autoattack-targeted": "autoattack has no targeted mode",
    }.items():
        with pytest.raises(ValueError, match=message):
            find_attack(name)
    with pytest.raises(ValueError, match="cannot be made: ValueError: attacks_to_run will be overridden"):
        attack("autoattack(attacks_to_run=['square'])", net, images, labels)


def test_its_warnings_are_passed_on(tiny: tuple[TinyNet, Tensor, Tensor], capsys: pytest.CaptureFixture[str]) -> None:
    net, images, labels = tiny
    noisy = DefendedModule(net, transforms=[GaussianNoise(0.1)])
    within = DefendedModule(net, preprocessing_defences=[Counteraction(net, num_labels=9)])
    name = f"{CUSTOM}@defended"
    dynamic = "it seems to be a dynamic defense! The evaluation with AutoAttack might be insufficient."
    random = 'it seems to be a randomized defense! Please use version="rand".'
    assert said(name, within, images, labels) == [f"attack {name} warns: {dynamic}"]
    assert said(name, noisy, images, labels) == [f"attack {name} warns: {random}"]  # the other network is forgotten
    assert said(CUSTOM, noisy, images, labels) == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("name", "least"), [("autoattack", 4), ("autoattack-rand", 3), (CUSTOM, 2)])
def test_networks_of_few_classes(name: str, least: int, x: Tensor) -> None:
    pytest.importorskip("pyautoattack")
    assert find_attack(name).least_classes == least
    net = TinyNet(least).eval()
    labels = net(x[:2]).argmax(1)
    if name != "autoattack-rand":  # which takes its time
        assert attack(name, net, x[:2], labels, eps=EPS).shape == x[:2].shape


def test_without_the_package_a_line_says_what_to_install(
    net: TinyNet, x: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "counteract.robustbench.autoattack", raising=False)
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    assert find_attack("autoattack").gradients
    with pytest.raises(ValueError, match=r"pyautoattack is not installed: .* pip install '\.\[robustbench\]'"):
        attack("autoattack", net, x, torch.arange(6))
