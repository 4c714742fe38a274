"""The package's front door."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

import counteract


def test_every_public_name_is_there() -> None:
    for name in counteract.__all__:
        assert getattr(counteract, name).__name__ == name
    assert set(counteract.__all__) <= set(dir(counteract))
    assert counteract.__version__


def test_no_public_name_is_that_of_a_module() -> None:
    """Once imported, the module would stand in its place."""
    for name in counteract.__all__:
        assert importlib.util.find_spec(f"counteract.{name}") is None


def test_functions_stay_functions_whatever_is_imported_first() -> None:
    code = (
        "import counteract.auditing, counteract.attacks.api, counteract.evaluation.api, counteract.cli.audit\n"
        "from counteract import attack, audit, evaluate\n"
        "print(attack.__module__, audit.__module__, evaluate.__module__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["counteract.attacks.api", "counteract.auditing.api", "counteract.evaluation.api"]


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Counteractoin"):
        counteract.Counteractoin  # noqa: B018


@pytest.mark.parametrize("module", ["counteract", "counteract.cli"])
def test_importing_loads_no_heavy_package(module: str) -> None:
    heavy = ["torch", "torchvision", "art", "torchattacks", "robustbench"]
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
