"""The cost of averaging 50 executions: against 50 calls of ART's classifier, and in units of 50 forward passes.

    python eval/benchmarks/executions.py [--images 128] [--repeats 3] [--width 64]

The same on torchvision's ResNet-18, a stranger's, in units of forward passes of the network as it was given.

Each of ART's calls crops by its own draws, as a user without `DefendedModule` would have it, and takes all images in
one batch; 128 is the size of ART's batches unless it is told otherwise.
"""

from __future__ import annotations

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from subjects import image_options, random_images, random_resnet18
from timing import conditions, rounds, show
from torchvision.models import resnet18 as strangers_resnet18

from counteract import DefendedModule, RandomCropResize
from counteract._folding import folded
from counteract.evaluation.computing import ready

EXECUTIONS = 50


def main() -> None:
    """Times the rounds and prints the ratios."""
    options = image_options("the speed of averaged executions, as ratios", repeats=3, images=128).parse_args()
    x, net = random_images(options.images), random_resnet18(options.width)
    fast = folded(net, x)
    module = DefendedModule(fast, transforms=[RandomCropResize()], executions=EXECUTIONS)
    crops = RandomCropResize(apply_fit=False, apply_predict=True)
    art = PyTorchClassifier(
        net,
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=(3, 32, 32),
        nb_classes=10,
        clip_values=(0, 1),
        preprocessing_defences=[crops],
        device_type="gpu" if x.is_cuda else "cpu",
    )
    images = x.cpu().numpy()
    with torch.no_grad():
        found = rounds(
            {
                "forwards": lambda: [fast(x) for _ in range(EXECUTIONS)],
                "module": lambda: module(x),
                "art": lambda: np.mean([art.predict(images, batch_size=len(images)) for _ in range(EXECUTIONS)], 0),
            },
            options.repeats,
        )
    print(conditions(f"resnet18 of width {options.width}, {options.images} images, {EXECUTIONS} executions"))
    show("times the time of as many forward passes; the limit is 1", [r["module"] / r["forwards"] for r in found])
    show("times faster than as many calls of ART's classifier", [r["art"] / r["module"] for r in found])
    given = strangers_resnet18(num_classes=10).eval().to(x.device)
    ours = DefendedModule(ready(given, x.device, x), transforms=[RandomCropResize()], executions=EXECUTIONS)
    with torch.no_grad():
        found = rounds(
            {"forwards": lambda: [given(x) for _ in range(EXECUTIONS)], "module": lambda: ours(x)}, options.repeats
        )
    print(conditions(f"torchvision's resnet18, {options.images} images, {EXECUTIONS} executions"))
    show(
        "times the time of as many forward passes as given; the goal is 1.1",
        [r["module"] / r["forwards"] for r in found],
    )


if __name__ == "__main__":
    main()
