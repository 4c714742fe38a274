"""Reasons why an attack cannot run on a network."""

from __future__ import annotations

from networks import TinyNet

from counteract import DefendedModule
from counteract.attacks import (
    ATTACKS,
    find_attack,
    obstacle,
)
from counteract.whole import WholeModule

EVERY = ["pgd3", "pgd3-targeted", *(name for name in ATTACKS if name != "clean")]


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
