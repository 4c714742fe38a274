"""The price of gradients through a defence, in units of as many gradients of the bare network; and of PGD on that.

    python eval/benchmarks/adaptive.py [--images 16 32 64 128 256] [--draws 5 20] [--few 32] [--repeats 5]
                                       [--model cifar10-resnet18w16-iat]

A gradient through averaged draws of a transform is compared to as many of the bare network, each of all images: as our
attacks take it, and as anybody takes it who differentiates a `DefendedModule` himself. Counteraction, Hedge and the
anti-adversary ask the network themselves; what they have in common with bare gradients is the floating-point
operations, so these are the unit: with the identity for a gradient (BPDA), and with the exact gradient of the smooth
surrogate. PGD-10 against ART's and torchattacks' takes 128 images.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from flops import FlopCount
from pgd import compare
from subjects import random_images
from timing import conditions, device, rounds, show
from torch import Tensor, nn

from counteract import AntiAdversary, Counteraction, DefendedModule, Hedge, RandomCropPad, load_model
from counteract._folding import folded
from counteract._network import borrowed
from counteract.attacks.losses import cross_entropy
from counteract.attacks.objective import Objective

Call = Callable[[], object]

BARE = 5
"""Gradients of the bare network that are timed together."""


def own(network: nn.Module, x: Tensor) -> Call:
    """A gradient as our attacks take it."""
    keys = torch.arange(len(x), device=x.device)
    objective = Objective([network], cross_entropy, keys % 10, keys)
    return lambda: objective.gradient(x, 0)


def callers(network: nn.Module, x: Tensor) -> Call:
    """A gradient as whoever holds a network takes it."""

    def call() -> object:
        points = x.clone().requires_grad_()
        keys = torch.arange(len(x), device=x.device)
        scores = network(points, keys) if isinstance(network, DefendedModule) else network(points)
        return torch.autograd.grad(cross_entropy(scores, keys % 10).sum(), points)

    return call


def averaged(net: nn.Module, count: int, draws: list[int], repeats: int) -> None:
    """Times averaged crops of so many images."""
    x = random_images(count)
    bare = callers(net, x)
    contestants: dict[str, Call] = {"bare": lambda: [bare() for _ in range(BARE)]}
    for each in draws:
        module = DefendedModule(net, transforms=[RandomCropPad()], executions=each)
        contestants |= {f"attack {each}": own(module, x), f"caller {each}": callers(module, x)}
    found = rounds(contestants, repeats)
    for each in draws:
        for who in ("attack", "caller"):
            ratios = [r[f"{who} {each}"] / (r["bare"] / BARE * each) for r in found]
            show(f"of as many bare gradients: {who}, crop-pad, {count} images, {each} draws", ratios)


def flops(call: Call) -> int:
    """The floating-point operations of a call."""
    with FlopCount() as counter:  # type: ignore[no-untyped-call]
        call()
    total: int = counter.total
    return total


def first_order(net: nn.Module, count: int, repeats: int) -> None:
    """Times the defences that move images along gradients of their own."""
    x = random_images(count)
    contestants: dict[str, Call] = {"bare": callers(net, x)}
    for defence in (Counteraction(net), Hedge(net), AntiAdversary(net)):
        for kind, part in {"bpda": defence, "exact": defence.smooth()}.items():
            contestants[f"{type(defence).__name__}, {kind}"] = own(
                DefendedModule(net, preprocessing_defences=[part]), x
            )
    units = {name: flops(call) / flops(contestants["bare"]) for name, call in contestants.items()}
    found = rounds(contestants, repeats)
    for name in list(contestants)[1:]:
        ratios = [r[name] / (r["bare"] * units[name]) for r in found]
        show(f"of as many bare gradients: {name}, {count} images, {units[name]:.1f} gradients", ratios)


def main() -> None:
    """Prints the ratios."""
    parser = argparse.ArgumentParser(description="the price of gradients through a defence, as ratios")
    parser.add_argument("--images", type=int, nargs="+", default=[16, 32, 64, 128, 256])
    parser.add_argument("--draws", type=int, nargs="+", default=[5, 20])
    parser.add_argument("--few", type=int, default=32, help="images for the defences that ask the network themselves")
    parser.add_argument("--many", type=int, default=128, help="images for PGD")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--model", default="cifar10-resnet18w16-iat")
    options = parser.parse_args()
    net = load_model(options.model).to(device())
    fast = folded(net, random_images(2).to(device()))
    print(conditions(options.model))
    with borrowed(fast):
        for count in options.images:
            averaged(fast, count, options.draws, options.repeats)
        first_order(fast, options.few, options.repeats)
    compare(net, random_images(options.many), (10,), options.repeats)


if __name__ == "__main__":
    main()
