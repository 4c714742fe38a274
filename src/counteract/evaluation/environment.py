"""The conditions of a measurement: versions and machine."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

import torch

from counteract import __version__

_PACKAGES = ("adversarial-robustness-toolbox", "torch", "torchattacks", "torchvision", "numpy")


def describe_environment(device: torch.device) -> dict[str, str | int]:
    """Versions of what computes, and what it computes on."""
    accelerator = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "python": platform.python_version(),
        "art-counteract": __version__,
        **{package: version(package) for package in _PACKAGES},
        "system": platform.system(),
        "device": f"{device.type} ({accelerator})",
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
    }
