"""The cost of PGD's snapshots: against torchattacks, and in units of the limit of two passes a step.

    python eval/benchmarks/pgd.py [--images 32] [--repeats 5] [--width 64]

A table wants PGD of several step counts. One run that passes through them makes them all; torchattacks makes three.
"""

from __future__ import annotations

import torch
import torchattacks
from subjects import image_options, random_images, random_resnet18
from timing import conditions, rounds, show

from counteract._network import folded
from counteract.attacks import PGD, draw_starts

STEPS = (2, 5, 10)


def main() -> None:
    """Times the rounds and prints the ratios."""
    options = image_options("the speed of PGD, as ratios", repeats=5).parse_args()
    x, net = random_images(options.images), random_resnet18(options.width)
    labels = torch.randint(0, 10, (options.images,), device=x.device)
    fast, longest = folded(net), max(STEPS)
    snapshots = PGD(fast, eps=8 / 255, alpha=2 / 255, steps=STEPS)
    plain = {steps: torchattacks.PGD(net, eps=8 / 255, alpha=2 / 255, steps=steps) for steps in STEPS}

    def forwards() -> None:
        with torch.no_grad():
            for _ in range(2 * longest):
                fast(x)

    starts = draw_starts(torch.arange(len(x), device=x.device), x, 8 / 255)
    contestants = {"forwards": forwards, "snapshots": lambda: snapshots(x, labels, starts=starts)}
    contestants |= {str(steps): lambda attack=attack: attack(x, labels) for steps, attack in plain.items()}  # type: ignore[misc]
    found = rounds(contestants, options.repeats)
    print(conditions(f"resnet18 of width {options.width}, {options.images} images, PGD of {STEPS} steps"))
    show(
        f"times the time of {2 * longest} forward passes, which is the limit",
        [r["snapshots"] / r["forwards"] for r in found],
    )
    show(f"times faster than torchattacks' PGD-{longest} alone", [r[str(longest)] / r["snapshots"] for r in found])
    show("times faster than torchattacks' three runs", [sum(r[str(s)] for s in STEPS) / r["snapshots"] for r in found])


if __name__ == "__main__":
    main()
