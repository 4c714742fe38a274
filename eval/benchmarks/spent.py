"""The executions that an image's label really needs, clean and under attack.

    python eval/benchmarks/spent.py [--limit 100] [--dataset FILE --model NAME]

For each transform, the mean number of executions out of 50 after which the label is certain: that of all 50.
"""

from __future__ import annotations

import argparse

import torch

from counteract import DefendedModule, RandomCropPad, RandomCropResize, load_model
from counteract._folding import folded
from counteract.attacks import PGD, draw_starts
from counteract.datasets import load_dataset

EXECUTIONS = 50


def main() -> None:
    """Counts, and prints a line for each transform and kind of image."""
    parser = argparse.ArgumentParser(description="executions that decide")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--model", default="digits-resnet-mixup")
    parser.add_argument("--eps", type=float, default=12, help="of PGD-10, in grey levels")
    options = parser.parse_args()
    data = load_dataset(options.dataset, "test").take(options.limit)
    net = folded(load_model(options.model), data.images)
    keys, eps = torch.arange(len(data)), options.eps / 255
    attack = PGD(net, eps=eps, alpha=eps / 4, steps=[10])
    images = data.images
    starts = draw_starts(keys, images, eps)
    kinds = {"clean": images, "PGD-10": attack(images, data.labels, starts=starts)[10]}
    print(f"{options.model} on {options.dataset}, n = {len(data)}, of {EXECUTIONS} executions:")
    for transform in (RandomCropPad(), RandomCropResize()):
        module = DefendedModule(net, transforms=[transform], executions=EXECUTIONS)
        for kind, given in kinds.items():
            spent = module.classify(given, keys)[1]
            print(f"{spent.double().mean():8.1f}  {type(transform).__name__}, {kind} images")


if __name__ == "__main__":
    main()
