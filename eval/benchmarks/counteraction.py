"""How fast counteraction is: against N one-step attacks of torchattacks, and in units of a plain forward pass.

Two such loops are timed. In one, torchattacks draws each label itself, as its targeted mode for random labels does: a
forward pass to draw, one to attack, one backward, 3 N in all. In the other the labels are drawn beforehand and handed
in, which leaves 2 N. Neither computes gradients of weights.

    python eval/benchmarks/counteraction.py [--images 64] [--repeats 7] [--width 64]

Each round times every contestant once, on the same images and the same CIFAR ResNet-18, so that a change in the
machine's speed meets them all; the ratios are of the round's own times. Printed are medians and ranges over rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torchattacks
from torch import Tensor, nn

from counteract import Counteraction
from counteract.models import resnet18

NUM_LABELS = 9


def one_step_attacks(net: nn.Module, x: Tensor, labels: Tensor | None) -> Tensor:
    """Counteraction made of N separate one-step PGDs of torchattacks, with given labels or random ones."""
    attack = torchattacks.PGD(net, eps=8 / 255, alpha=4 / 255, steps=1, random_start=False)
    if labels is None:
        attack.set_mode_targeted_random(quiet=True)
        labels = net(x).argmax(1, keepdim=True).expand(-1, NUM_LABELS)  # the label that is left out
    else:
        attack.set_mode_targeted_by_label(quiet=True)
    total = torch.zeros_like(x)
    for column in labels.unbind(1):
        total += attack(x, column) - x
    return (x + total.clamp(-8 / 255, 8 / 255)).clamp(0, 1)


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Times the rounds and prints the ratios."""
    parser = argparse.ArgumentParser(description="counteraction's speed, as ratios")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--width", type=int, default=64, help="64 is the usual ResNet-18; the shipped one has 16")
    options = parser.parse_args()
    torch.manual_seed(0)
    net = resnet18(num_classes=10, mean=(0.5,) * 3, std=(0.25,) * 3, width=options.width).eval()
    x = torch.rand(options.images, 3, 32, 32)
    defence = Counteraction(net, num_labels=NUM_LABELS)
    with torch.no_grad():
        predicted = net(x).argmax(1)
        others = (predicted.unsqueeze(1) + torch.arange(1, 10)) % 10

        def forward() -> object:
            return net(x)

        def naive(labels: Tensor | None) -> object:
            with torch.enable_grad():
                return one_step_attacks(net, x, labels)

        contestants: dict[str, Callable[[], object]] = {
            "forward": forward,
            "random": lambda: naive(None),
            "given": lambda: naive(others),
            "counteraction": lambda: defence.forward(x),
        }
        for call in contestants.values():
            call()
        rounds = [{name: seconds(call) for name, call in contestants.items()} for _ in range(options.repeats)]
    threads = torch.get_num_threads()
    subject = f"ResNet-18 of width {options.width}, {options.images} images, N = {NUM_LABELS}"
    print(f"{subject}, {threads} threads, torch {torch.__version__}")
    for line, ratios in (
        (
            "times faster than N attacks of torchattacks, random labels",
            [r["random"] / r["counteraction"] for r in rounds],
        ),
        (
            "times faster than N attacks of torchattacks, given labels",
            [r["given"] / r["counteraction"] for r in rounds],
        ),
        (f"plain forwards (the limit is {NUM_LABELS + 1})", [r["counteraction"] / r["forward"] for r in rounds]),
    ):
        print(f"counteraction: {statistics.median(ratios):.2f} {line}, from {min(ratios):.2f} to {max(ratios):.2f}")


if __name__ == "__main__":
    main()
