"""Counteraction's speed: in units of a forward pass, against N one-step attacks, and beside its peers.

    python eval/benchmarks/counteraction.py [--images 32] [--repeats 7] [--width 64]

The limit is N + 1 passes, one forward and N backward. Two loops of one-step attacks of torchattacks are timed: in one
it draws each label itself, as its targeted mode for random labels does, a forward pass to draw, one to attack and one
backward, 3 N in all; in the other the labels are handed in, which leaves 2 N. Neither computes gradients of weights.
Hedge and the anti-adversary have their papers' settings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torchattacks
from subjects import image_options, random_images
from timing import conditions, rounds, show
from torch import Tensor, nn
from torchvision.models import resnet18 as strangers_resnet18

from counteract import AntiAdversary, Counteraction, Hedge
from counteract.evaluation.computing import ready
from counteract.models import resnet18, resnet50
from counteract.preprocessors.first_order import FirstOrderPreprocessor

CLASSES = 100
COUNTS = (1, 9, 20)


def one_step_attacks(net: nn.Module, x: Tensor, given: Tensor | None) -> Tensor:
    """Counteraction with nine labels, made of separate one-step PGDs, with given labels or random ones."""
    attack = torchattacks.PGD(net, eps=8 / 255, alpha=4 / 255, steps=1, random_start=False)
    if given is None:
        attack.set_mode_targeted_random(quiet=True)
        labels = net(x).argmax(1, keepdim=True).expand(-1, 9)  # the label that is left out
    else:
        attack.set_mode_targeted_by_label(quiet=True)
        labels = given
    total = torch.zeros_like(x)
    for column in labels.unbind(1):
        total += attack(x, column) - x
    return (x + total.clamp(-8 / 255, 8 / 255)).clamp(0, 1)


def naive(net: nn.Module, x: Tensor, given: Tensor | None) -> Callable[[], object]:
    """One of the two loops, ready to be timed."""

    def call() -> object:
        with torch.enable_grad():
            return one_step_attacks(net, x, given)

    return call


def compare(net: nn.Module, x: Tensor, repeats: int) -> None:
    """Times everything on one network, and prints the ratios."""
    given = (net(x).argmax(1).unsqueeze(1) + torch.arange(1, 10, device=x.device)) % CLASSES
    defences = {count: Counteraction(net, num_labels=count) for count in COUNTS}
    peers: dict[str, FirstOrderPreprocessor[Any]] = {"Hedge": Hedge(net), "anti-adversary": AntiAdversary(net)}
    contestants: dict[str, Callable[[], object]] = {"forward": lambda: net(x)}
    contestants |= {f"counteraction {count}": lambda d=d: d.forward(x) for count, d in defences.items()}  # type: ignore[misc]
    contestants |= {name: lambda d=d: d.forward(x) for name, d in peers.items()}  # type: ignore[misc]
    contestants |= {"random": naive(net, x, None), "given": naive(net, x, given)}
    found = rounds(contestants, repeats)
    for count, defence in defences.items():
        ratios = [r[f"counteraction {count}"] / r["forward"] for r in found]
        show(f"forward passes: counteraction, N = {count}; the limit is {defence.passes}", ratios)
    for name, peer in peers.items():
        show(f"forward passes: {name}; passes: {peer.passes}", [r[name] / r["forward"] for r in found])
    for name, words in {"random": "random labels", "given": "given labels"}.items():
        ratios = [r[name] / r["counteraction 9"] for r in found]
        show(f"times faster than nine one-step attacks of torchattacks, {words}", ratios)


def main() -> None:
    """Times ResNet-18 and ResNet-50, and torchvision's ResNet-18, a stranger's."""
    options = image_options("counteraction's speed, as ratios", repeats=7).parse_args()
    x = random_images(options.images)
    for make in (resnet18, resnet50):
        net = make(num_classes=CLASSES, mean=(0.5,) * 3, std=(0.25,) * 3, width=options.width).eval().to(x.device)
        print(conditions(f"{make.__name__} of width {options.width}, {options.images} images"))
        with torch.no_grad():
            compare(net, x, options.repeats)
    net = strangers_resnet18(num_classes=CLASSES).eval().to(x.device)
    print(conditions(f"torchvision's resnet18, {options.images} images"))
    with torch.no_grad():
        fast = Counteraction(ready(net, x.device, x))  # as evaluations run it
        found = rounds({"forward": lambda: net(x), "counteraction": lambda: fast.forward(x)}, options.repeats)
    show(
        "forward passes of the network as given; the limit is 11.5", [r["counteraction"] / r["forward"] for r in found]
    )


if __name__ == "__main__":
    main()
