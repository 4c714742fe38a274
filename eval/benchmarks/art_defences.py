"""The cost of ART's defences in a defended network, beside ART's own classifier with the same defence.

    python eval/benchmarks/art_defences.py [--images 128] [--repeats 5] [--width 64]

Of each defence two ratios are printed: of a whole prediction, ours to that of ART, in one batch; and of the defence
alone, as this package calls it, to its own calls with the same images, one at a time where it draws random numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from art.defences.preprocessor import (
    Cutout,
    FeatureSqueezing,
    GaussianAugmentation,
    JpegCompression,
    SpatialSmoothing,
    TotalVarMin,
)
from art.defences.preprocessor.preprocessor import Preprocessor
from art.estimators.classification import PyTorchClassifier
from subjects import image_options, random_images, random_resnet18
from timing import conditions, rounds, show
from torch import Tensor, nn

from counteract import DefendedModule
from counteract.preprocessors.adapter import Adapted

DEFENCES: dict[str, Preprocessor] = {
    "JPEG": JpegCompression((0, 1), quality=50, channels_first=True),
    "3 bits": FeatureSqueezing((0, 1), bit_depth=3),
    "median": SpatialSmoothing(3, channels_first=True),
    "Gaussian noise": GaussianAugmentation(0.1, augmentation=False, apply_predict=True),
    "cutout": Cutout(8, channels_first=True, apply_predict=True),
    "total variation": TotalVarMin(max_iter=2),
}


CALLS = 5
"""The calls of a defence alone that are timed as one: it is short beside what the first of them waits for memory."""


def predictions(defence: Preprocessor, x: Tensor, net: nn.Module) -> dict[str, Callable[[], object]]:
    """Returns a prediction through a defence by this package and by ART's classifier."""
    module = DefendedModule(net, preprocessing_defences=[defence])
    images, keys = x.cpu().numpy(), torch.arange(len(x))
    art = PyTorchClassifier(
        net,
        loss=nn.CrossEntropyLoss(),
        input_shape=(3, 32, 32),
        nb_classes=10,
        clip_values=(0, 1),
        preprocessing_defences=[defence],
        device_type="gpu" if x.is_cuda else "cpu",
    )
    return {
        "ours": lambda: module(x, keys).cpu().numpy(),
        "art": lambda: art.predict(images, batch_size=len(images)),
    }


def alone(defence: Preprocessor, x: Tensor) -> dict[str, Callable[[], object]]:
    """Returns some calls of a defence by this package, and its own with the same images."""
    part, keys = Adapted(defence), torch.arange(len(x))
    part.look(x)
    last = isinstance(defence, TotalVarMin)
    images = np.ascontiguousarray((x.permute(0, 2, 3, 1) if last else x).cpu().numpy())
    own = np.split(images, len(images)) if "one image at a time" in part.describe() else [images]
    return {
        "ours": lambda: [part.apply(x, keys) for _ in range(CALLS)],
        "own": lambda: [[defence(each.copy()) for each in own] for _ in range(CALLS)],
    }


def main() -> None:
    """Times the rounds of each defence and prints the ratios."""
    options = image_options("the cost of ART's defences, as ratios", repeats=5, images=128).parse_args()
    x, net = random_images(options.images), random_resnet18(options.width)
    print(conditions(f"resnet18 of width {options.width}, {options.images} images"))
    for name, defence in DEFENCES.items():
        with torch.no_grad():
            calls = rounds(alone(defence, x), options.repeats)
            show(f"{name}: the defence alone, in units of its own calls", [r["ours"] / r["own"] for r in calls])
            if not isinstance(defence, FeatureSqueezing):  # it makes float64, which ART's classifier does not take
                whole = rounds(predictions(defence, x, net), options.repeats)
                show(f"{name}: a whole prediction, in units of ART's", [r["ours"] / r["art"] for r in whole])


if __name__ == "__main__":
    main()
