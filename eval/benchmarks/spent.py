"""How many of an image's executions its label really needs, clean and under attack, and what sparing more costs.

    python eval/benchmarks/spent.py [--limit 100] [--dataset FILE --model NAME]

For each transform, the mean number of executions out of 50: of the exact rule, whose labels are those of all 50, and of
the rule with a stated error, with the share of images whose label it changed.
"""

from __future__ import annotations

import argparse

import torch

from counteract import DefendedModule, RandomCropPad, RandomCropResize, load_model
from counteract._network import folded
from counteract.attacks import PGD, draw_starts
from counteract.datasets import load_dataset

ERRORS = (0.0, 0.01, 0.1)
EXECUTIONS = 50


def main() -> None:
    """Counts, and prints a line for each transform, kind of image and error."""
    parser = argparse.ArgumentParser(description="executions that decide")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--model", default="digits-resnet-mixup")
    parser.add_argument("--eps", type=float, default=12, help="of PGD-10, in grey levels")
    options = parser.parse_args()
    net, data = folded(load_model(options.model)), load_dataset(options.dataset, "test").take(options.limit)
    keys, eps = torch.arange(len(data)), options.eps / 255
    attack = PGD(net, eps=eps, alpha=eps / 4, steps=[10])
    starts = draw_starts(keys, data.images, eps)
    kinds = {"clean": data.images, "PGD-10": attack(data.images, data.labels, starts=starts)[10]}
    print(f"{options.model} on {options.dataset}, n = {len(data)}, of {EXECUTIONS} executions:")
    for transform in (RandomCropPad(), RandomCropResize()):
        module = DefendedModule(net, transforms=[transform], executions=EXECUTIONS)
        for kind, images in kinds.items():
            exact = module.classify(images, keys)[0]
            for error in ERRORS:
                labels, spent = module.classify(images, keys, error=error)
                changed = float((labels != exact).double().mean())
                rule = f"error {error:g}" if error else "exact"
                name = type(transform).__name__
                print(f"{spent.double().mean():8.1f}  {name}, {kind} images, {rule}; {changed:.1%} labels changed")


if __name__ == "__main__":
    main()
