"""`import robustbench` on a machine that lacks what it imports, without a trace."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from counteract._errors import UserError
from counteract.robustbench import shims

CODE = """
import sys
from importlib.util import find_spec
missing = [name for name in ("pkg_resources", "autoattack") if find_spec(name) is None]
from counteract.robustbench.zoo import import_robustbench
package = import_robustbench()
assert not set(missing) & set(sys.modules), "the stand-ins are still there"
import robustbench
assert robustbench is package is import_robustbench()
print(robustbench.benchmark.__name__, robustbench.load_model.__name__)
"""


@pytest.mark.usefixtures("zoo")
def test_robustbench_is_imported_and_the_stand_ins_are_gone() -> None:
    done = subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", CODE], capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["benchmark", "load_model"], "")


def test_robustbench_finds_its_own_files(zoo: Any) -> None:
    loaders = zoo.import_robustbench().loaders
    found = loaders.pkg_resources.resource_filename("robustbench.loaders", "helper_files/imagenet_test_image_ids.txt")
    assert Path(found).is_file()


@pytest.mark.usefixtures("zoo")
def test_modules_that_are_there_are_used_and_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    real = {name: ModuleType(name) for name in ("pkg_resources", "autoattack")}
    for name, module in real.items():
        monkeypatch.setitem(sys.modules, name, module)
    with shims._stand_ins():
        assert all(sys.modules[name] is module for name, module in real.items())
    assert all(sys.modules[name] is module for name, module in real.items())


@pytest.mark.usefixtures("zoo")
def test_the_stand_ins_go_after_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shims, "_is_missing", lambda name: True)
    for name in ("pkg_resources", "autoattack", "autoattack.state"):
        monkeypatch.delitem(sys.modules, name, raising=False)

    def fail() -> None:
        assert sys.modules["autoattack.state"].EvaluationState
        raise KeyError

    with pytest.raises(KeyError), shims._stand_ins():
        fail()
    assert not {"pkg_resources", "autoattack", "autoattack.state"} & set(sys.modules)


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.delitem(sys.modules, "robustbench", raising=False)
    monkeypatch.setattr(shims, "version", absent)
    with pytest.raises(UserError, match=r"pip install '\.\[robustbench\]'"):
        shims.import_robustbench()


def test_another_failure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> ModuleType:
        raise ImportError("no libsomething.so")

    monkeypatch.delitem(sys.modules, "robustbench", raising=False)
    monkeypatch.setattr(shims, "version", lambda name: "1.1.1")
    monkeypatch.setattr(shims, "_is_missing", lambda name: False)
    monkeypatch.setattr("importlib.import_module", fail)
    with pytest.raises(UserError, match=r"cannot be imported: no libsomething\.so"):
        shims.import_robustbench()
