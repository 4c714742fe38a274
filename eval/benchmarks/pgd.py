"""The cost of PGD's snapshots: against torchattacks and ART, and in units of the limit of two passes a step.

    python eval/benchmarks/pgd.py [--images 32] [--repeats 5] [--width 64]

A table wants PGD of several step counts. One run that passes through them makes them all; torchattacks makes three.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torchattacks
from art.attacks.evasion import ProjectedGradientDescent
from art.estimators.classification import PyTorchClassifier
from subjects import image_options, random_images, random_resnet18
from timing import conditions, rounds, show
from torch import Tensor, nn

from counteract._folding import folded
from counteract.attacks import PGD, draw_starts

STEPS = (2, 5, 10)
EPS, STEP = 8 / 255, 2 / 255


def art_pgd(net: nn.Module, x: Tensor, labels: Tensor, steps: int) -> Callable[[], object]:
    """PGD of ART, in one batch, from arrays to arrays as its users call it."""
    classifier = PyTorchClassifier(
        net,
        loss=nn.CrossEntropyLoss(),
        input_shape=tuple(x.shape[1:]),
        nb_classes=10,
        clip_values=(0, 1),
        device_type="gpu" if x.is_cuda else "cpu",
    )
    bounds: dict[str, Any] = {"norm": np.inf, "eps": EPS, "eps_step": STEP, "max_iter": steps, "num_random_init": 1}
    attack = ProjectedGradientDescent(classifier, **bounds, batch_size=len(x), verbose=False)
    images, true = x.cpu().numpy(), labels.cpu().numpy()
    return lambda: attack.generate(images, true)


def compare(net: nn.Module, x: Tensor, steps: Sequence[int], repeats: int) -> None:
    """Times all of them on one network, and prints the ratios."""
    labels = torch.randint(0, 10, (len(x),), device=x.device)
    fast, longest = folded(net, x), max(steps)
    snapshots = PGD(fast, eps=EPS, alpha=STEP, steps=steps)
    plain = {count: torchattacks.PGD(net, eps=EPS, alpha=STEP, steps=count) for count in steps}

    def forwards() -> None:
        with torch.no_grad():
            for _ in range(2 * longest):
                fast(x)

    starts = draw_starts(torch.arange(len(x), device=x.device), x, EPS)
    contestants = {"forwards": forwards, "snapshots": lambda: snapshots(x, labels, starts=starts)}
    contestants |= {str(count): lambda attack=attack: attack(x, labels) for count, attack in plain.items()}  # type: ignore[misc]
    contestants["art"] = art_pgd(net, x, labels, longest)
    found = rounds(contestants, repeats)
    show(
        f"times the time of {2 * longest} forward passes, which is the limit",
        [r["snapshots"] / r["forwards"] for r in found],
    )
    show(f"times faster than ART's PGD-{longest}", [r["art"] / r["snapshots"] for r in found])
    show(f"times faster than torchattacks' PGD-{longest} alone", [r[str(longest)] / r["snapshots"] for r in found])
    if len(steps) > 1:
        three = [sum(r[str(count)] for count in steps) / r["snapshots"] for r in found]
        show(f"times faster than torchattacks' {len(steps)} runs", three)


def main() -> None:
    """Times the rounds and prints the ratios."""
    options = image_options("the speed of PGD, as ratios", repeats=5).parse_args()
    x, net = random_images(options.images), random_resnet18(options.width)
    print(conditions(f"resnet18 of width {options.width}, {options.images} images, PGD of {STEPS} steps"))
    compare(net, x, STEPS, options.repeats)


if __name__ == "__main__":
    main()
