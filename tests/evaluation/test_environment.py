"""The conditions of a measurement, as results hold them."""

from __future__ import annotations

import platform

import torch

from counteract.evaluation.environment import describe_environment


def test_versions_and_machine_are_told() -> None:
    found = describe_environment(torch.device("cpu"))
    assert set(found) == {
        "python", "art-counteract", "adversarial-robustness-toolbox", "torch", "torchattacks", "torchvision", "numpy",
        "system", "device", "cores", "threads",
    }  # fmt: skip
    assert all(found.values())
    assert found["python"] == platform.python_version()
    assert str(torch.__version__).startswith(str(found["torch"]))
    assert found["device"] == f"cpu ({platform.machine()})"
    assert found["threads"] == torch.get_num_threads()
