"""The package's front door."""

from __future__ import annotations

import subprocess
import sys

import pytest

import counteract


def test_every_public_name_is_there() -> None:
    for name in counteract.__all__:
        assert getattr(counteract, name).__name__ == name
    assert set(counteract.__all__) <= set(dir(counteract))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Counteractoin"):
        counteract.Counteractoin  # noqa: B018


@pytest.mark.parametrize("module", ["counteract", "counteract.cli"])
def test_importing_loads_no_heavy_package(module: str) -> None:
    heavy = ["torch", "torchvision", "art", "torchattacks", "robustbench"]
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
