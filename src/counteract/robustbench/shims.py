"""A working `import robustbench` on a current machine: two modules that it expects are put in place for the import."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

from counteract._errors import UserError
from counteract._extras import explain_missing, how_to_install

NOT_INSTALLED = f"RobustBench is not installed: {how_to_install('robustbench')}"


def import_robustbench() -> ModuleType:
    """The working `robustbench` package (1.1.1).

    Its import needs `pkg_resources`, which setuptools has dropped, and `autoattack`, where it installs `pyautoattack`.
    Whichever of them is missing is put into `sys.modules` while RobustBench is imported, and taken out afterwards;
    nothing on the disk changes. After this, `import robustbench` works anywhere in the process.

    Raises:
        UserError: (a ValueError) RobustBench is not installed, or its import fails for another reason.
    """
    if (loaded := sys.modules.get("robustbench")) is not None:
        return loaded
    try:
        version("robustbench")
    except PackageNotFoundError as error:
        raise UserError(NOT_INSTALLED) from error
    with _stand_ins(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports timm by names that timm has deprecated
        try:
            package = importlib.import_module("robustbench")
        except ImportError as error:
            missing = explain_missing(error, "robustbench")
            raise missing or UserError(f"RobustBench is installed but cannot be imported: {error}") from error
    return package


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Provides those of RobustBench's two modules that are missing here."""
    missing: dict[str, ModuleType] = {}
    if _is_missing("pkg_resources"):
        missing["pkg_resources"] = _pkg_resources()
    if _is_missing("autoattack"):
        from counteract.robustbench import autoattack

        missing |= autoattack.as_modules()
    sys.modules.update(missing)
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]


def _is_missing(name: str) -> bool:
    return name not in sys.modules and importlib.util.find_spec(name) is None


def _pkg_resources() -> ModuleType:
    """The one function of `pkg_resources` that RobustBench calls."""
    module = ModuleType("pkg_resources", "The one function of pkg_resources that RobustBench calls.")

    def resource_filename(package_or_module: str, resource: str) -> str:
        file = sys.modules[package_or_module].__file__
        assert file is not None
        return str(Path(file).parent / resource)

    module.resource_filename = resource_filename  # type: ignore[attr-defined]
    return module
