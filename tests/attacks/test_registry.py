"""Every attack by its name: it stays in its bounds, leaves the network alone, and finds what it looks for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchattacks
from networks import TinyNet
from torch import Tensor, nn

from counteract import Counteraction, DefendedModule, RandomCropPad
from counteract._errors import UserError
from counteract._network import borrowed
from counteract.attacks import (
    ATTACKS,
    AttackPreset,
    Path,
    ThreatModel,
    Victim,
    attack_lines,
    attack_names,
    find_attack,
    obstacle,
    register_attack,
    registry,
)
from counteract.attacks.libraries import registered
from counteract.attacks.losses import margin
from counteract.attacks.registry import CURES, recorded_attack
from counteract.datasets import Dataset
from counteract.whole import WholeModule

EPS = 0.05
SMALL = AttackPreset.model_validate({"preset": "quick", "steps": 3, "queries": 40, "restarts": 2})
EVERY = ["pgd3", "pgd3-targeted", *(name for name in ATTACKS if name != "clean")]


def of(
    net: nn.Module,
    defended: DefendedModule | WholeModule | None = None,
    *,
    eps: float = EPS,
    random: bool = False,
    once: bool = True,
) -> Victim:
    """A network with a defence, or without."""
    return Victim(net, defended or DefendedModule(net), random, once, ThreatModel(eps=eps), eps / 4, 10)


def random_victim(net: nn.Module) -> Victim:
    defended = DefendedModule(
        net, preprocessing_defences=[Counteraction(net, num_labels=2)], transforms=[RandomCropPad()], executions=4
    )
    return of(net, defended, random=True)


def predicted(net: nn.Module, x: Tensor) -> Tensor:
    """The labels of images that are right by definition."""
    with borrowed(net):
        return net(x).argmax(1)  # type: ignore[no-any-return]


def attacked(name: str, victim: Victim, x: Tensor, rows: slice = slice(None)) -> Tensor:
    keys, labels = torch.arange(len(x))[rows], predicted(victim.undefended, x)[rows]
    known = torch.stack([keys + 100, keys + 200], 1)
    return find_attack(name).run(victim, x[rows], labels, keys, SMALL, known)


@pytest.mark.parametrize("name", EVERY)
def test_every_attack_keeps_its_bounds_and_looks_at_one_example_at_a_time(name: str, net: TinyNet, x: Tensor) -> None:
    net.train()
    found = attacked(name, random_victim(net), x)
    change = (found - x).abs().flatten(1).amax(1)
    assert (change <= EPS + 1e-6).all()
    assert (change > EPS / 20).all()
    assert found.min() >= 0
    assert found.max() <= 1
    assert not found.requires_grad
    assert net.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())
    net.eval()
    torch.testing.assert_close(
        attacked(name, random_victim(net), x, slice(3, 5)), attacked(name, random_victim(net), x)[3:5]
    )


@pytest.mark.parametrize("name", [name for name, attack in ATTACKS.items() if attack.adaptive])
def test_adaptive_attacks_look_at_the_defence_and_others_do_not(name: str, net: TinyNet, x: Tensor) -> None:
    plain = of(net)
    assert not torch.equal(attacked(name, random_victim(net), x), attacked(name, plain, x))
    for oblivious in ("apgd-t", "pgd3"):
        assert torch.equal(attacked(oblivious, random_victim(net), x), attacked(oblivious, plain, x))


@pytest.mark.parametrize("name", [name for name in EVERY if name != "noise"])
def test_every_attack_hurts_a_real_network(name: str, digits_net: nn.Module, digits: Dataset) -> None:
    images, labels, keys = digits.images[:16], digits.labels[:16], torch.arange(16)
    preset = SMALL.model_copy(update={"steps": 10, "queries": 200})
    found = find_attack(name).run(of(digits_net, eps=16 / 255), images, labels, keys, preset, keys.unsqueeze(1))
    before, after = (margin(digits_net(points), labels) for points in (images, found))
    assert after.mean() > before.mean() + 1
    assert (after > 0).float().mean() >= 0.3


@pytest.mark.parametrize("name", EVERY)
def test_one_attack_alone_is_told_the_draws_that_judge(name: str, net: TinyNet, x: Tensor) -> None:
    victim, keys, labels = random_victim(net), torch.arange(6), predicted(net, x)
    one, other = (find_attack(name).run(victim, x, labels, keys, SMALL, keys.unsqueeze(1) + more) for more in (0, 9))
    assert torch.equal(one, other) != (name == "fixed")
    assert find_attack(name).known == (name == "fixed")


def test_names_are_found() -> None:
    assert find_attack("none") == find_attack("null") == find_attack("clean")
    one, other = find_attack("pgd10"), find_attack("pgd50-targeted")
    assert (one.steps, one.targeted, one.path, one.preset) == (10, False, Path(False), False)
    assert (other.steps, other.targeted, other.path) == (50, True, Path(True))
    assert one == find_attack("pgd10")
    assert hash(one) == hash(find_attack("pgd10"))
    assert all(find_attack(name).name == name for name in attack_names())
    assert len(ATTACKS) == 26
    assert set(CURES) < set(ATTACKS)


def test_names_of_others_are_attacks_like_ours() -> None:
    one, other = find_attack("torchattacks:CW(c=1, steps=50)@defended"), find_attack("art:HopSkipJump-targeted")
    assert (one.name, one.adaptive, one.targeted, one.gradients) == (
        "torchattacks:CW(c=1, steps=50)@defended", True, False, True,
    )  # fmt: skip
    assert (other.name, other.adaptive, other.targeted, other.gradients) == (
        "art:HopSkipJump-targeted", False, True, False,
    )  # fmt: skip
    for found in (one, other, find_attack("autoattack")):
        assert found.unkeyed
        assert not found.preset
        assert found.path is None
        assert found.origin is not None
    assert not any(found.unkeyed or found.origin for found in ATTACKS.values())
    assert one == find_attack(one.name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pgd10@defended", "pgd10 is this package's own and takes no arguments, suffixes or @defended"),
        ("smooth(steps=3)", "smooth is this package's own"),
        ("apgd-ce-targeted", "apgd-ce is this package's own"),
        ("torchattacks:PGB", "did you mean torchattacks:PGD"),
        ("torchatacks:PGD", "library of attacks 'torchatacks' is not known; did you mean torchattacks"),
        ("autoatack", "did you mean autoattack"),
        ("pgd", r"did you mean pgd50 or pgd10 or pgd200 or torchattacks:PGD\?"),
        ("fgsm", r"attack 'fgsm' is not known; did you mean torchattacks:FGSM\?"),
        ("deepfool", r"did you mean torchattacks:DeepFool or art:DeepFool\?"),
        ("torchattacks:fgsm", "did you mean torchattacks:FGSM"),
        ("bpda-agpd-ce", "attack 'bpda-agpd-ce' is not known; did you mean bpda-apgd-ce"),
        ("smoth", "did you mean smooth"),
        ("pgd0", "did you mean pgd"),
        ("pgd1000000", "did you mean pgd10"),
        ("pgd" + "9" * 5000, "any other number of steps"),
        ("pgd10-targetd", "did you mean pgd10-targeted"),
        ("zzzz", "known: clean, pgd10, .*any other number of steps"),
    ],
)
def test_a_typo_lists_near_names(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_attack(name)


def test_every_attack_has_one_line() -> None:
    lines = dict(attack_lines())
    assert list(lines)[:4] == ["clean", "pgdK", "pgdK-targeted", "noise"]
    others = {"torchattacks:NAME", "art:NAME", "autoattack", "autoattack-rand", "file:DIR"}
    assert set(lines) == {*ATTACKS, "pgdK", "pgdK-targeted", *others}
    for name, text in lines.items():
        assert "\n" not in text
        kind = None if name == "clean" else text.split(":")[0]
        adaptive = name in ATTACKS and ATTACKS[name].adaptive
        own = "adaptive" if adaptive else "oblivious"
        assert kind in (None, "oblivious, or adaptive with @defended" if name in others else own)


def test_obstacles_are_said_in_words(net: TinyNet) -> None:
    def met(name: str, num_classes: int = 10, *, gradients: bool = True, whole: bool = False) -> str | None:
        defended = WholeModule(net) if whole else DefendedModule(net)
        return obstacle(find_attack(name), num_classes=num_classes, gradients=gradients, defended=defended)

    assert all(met(name) is None for name in ["clean", *EVERY])
    assert met("apgd-dlr", 2) == "it needs 3 classes, and the network has 2"
    assert {name for name in EVERY if met(name, 3)} == {"apgd-t", "bpda-pgd-t", "bpda-apgd-t", "under-t"}
    assert {name for name in EVERY if met(name, 2)} == {name for name in EVERY if name.endswith(("-t", "-dlr"))}
    assert {name for name in EVERY if not met(name, gradients=False)} == {"noise", "square", "decision"}
    assert {name for name in EVERY if met(name, whole=True)} == {"smooth", "cheap"}
    assert obstacle(find_attack("smooth"), num_classes=10) is None
    for known in ("clean", "noise", "art:HopSkipJump", "autoattack"):
        assert obstacle(find_attack(known), num_classes=10, norm="L1") is None
    for unknown in ("pgd10", "apgd-t", "square"):
        assert obstacle(find_attack(unknown), num_classes=10, norm="L2") is None
        assert obstacle(find_attack(unknown), num_classes=10, norm="L1") == "it knows the norms Linf and L2 only"


@pytest.mark.parametrize("name", [name for name in EVERY if name not in ("smooth", "cheap")])
def test_attacks_on_a_whole_module_are_those_on_the_same_network(name: str, net: TinyNet, x: Tensor) -> None:
    assert torch.equal(attacked(name, of(net, WholeModule(net)), x), attacked(name, of(net), x))


def test_a_registered_attack_goes_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registered, "REGISTERED", {})
    monkeypatch.setattr(registry, "REGISTERED", registered.REGISTERED)
    register_attack("mine", torchattacks.MIFGSM, about="momentum", gradients=False, least_classes=5)
    found = find_attack("mine(steps=3)@defended")
    assert (found.help, found.gradients, found.least_classes, found.adaptive) == ("momentum", False, 5, True)
    assert found.origin is torchattacks.MIFGSM
    assert ("mine", "oblivious, or adaptive with @defended: momentum") in attack_lines()
    register_attack("mine", torchattacks.PGD)  # again, as in a notebook
    assert (
        find_attack("mine").help == "PGD in the paper 'Towards Deep Learning Models Resistant to Adversarial Attacks'"
    )


def test_an_attack_that_is_known_by_its_records_alone_says_what_its_name_does() -> None:
    assert recorded_attack("pgd10") == find_attack("pgd10")
    found = recorded_attack("theirs-targeted(steps=3)@defended")
    assert (found.name, found.adaptive, found.targeted) == ("theirs-targeted(steps=3)@defended", True, True)
    assert "not known here" in found.help
    assert not recorded_attack("theirs").adaptive
    with pytest.raises(UserError, match="cannot be read"):
        recorded_attack("theirs(steps=3")


@pytest.mark.parametrize(
    "name",
    ["pgd10", "pgd7-targeted", "smooth", "clean", "none", "autoattack", "a:b", "a(b)", "a@b", "x-targeted", "", "a b"],
)
def test_a_name_that_is_taken_or_cannot_be_written_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"name '.*' is taken, or is none for an attack"):
        register_attack(name, torchattacks.PGD)


@pytest.mark.parametrize("given", [{"about": 3}, {"gradients": "no"}, {"least_classes": 0}])
def test_arguments_of_another_kind_are_refused_by_name(given: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"^{next(iter(given))} must be "):
        register_attack("mine", torchattacks.PGD, **given)
    assert "mine" not in registered.REGISTERED


def test_what_makes_no_attack_is_refused() -> None:
    with pytest.raises(ValueError, match="factory must be a function or a class that makes an attack, found int"):
        register_attack("mine", 3)  # type: ignore[arg-type]
