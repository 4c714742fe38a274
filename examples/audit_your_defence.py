"""An audit of a defence of one's own: any ART preprocessor, here a median filter in ten lines."""

from __future__ import annotations

from typing import Any

import numpy as np
from art.defences.preprocessor.preprocessor import Preprocessor
from scipy.ndimage import median_filter

from counteract import audit, load_model
from counteract.datasets import load_dataset


class Median(Preprocessor):
    """A median filter of 3 x 3 pixels."""

    def __init__(self) -> None:
        super().__init__(is_fitted=True, apply_fit=False, apply_predict=True)

    def __call__(self, x: Any, y: Any = None) -> tuple[Any, Any]:
        """Returns filtered images."""
        return median_filter(x, size=(1, 1, 3, 3)).astype(np.float32), y


data = load_dataset("digits").take(8)
found = audit(Median(), load_model("digits-resnet-iat"), data.images, data.labels, eps=12 / 255, seeds=1, draws=1)
print("sound" if found.sound else "not sound")
for check in found.checks:
    print("FLAG" if check.flag else "    ", f"{check.name}: {check.words}")
