"""The scripts of `eval` as modules, so that a test need not wait for another process."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

EVAL = Path(__file__).parents[1] / "eval"


def load_script(name: str) -> ModuleType:
    """A script by its path in `eval`."""
    path = EVAL / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(path.parent)
        patch.setitem(sys.modules, path.stem, module)
        spec.loader.exec_module(module)
    return module
