"""Extras: the plug-ins work without any, and whatever needs one that is missing says so in a line."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest import mock

import pytest

from counteract._errors import UserError
from counteract._extras import EXTRAS, explain_missing, how_to_install, needing

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]

DISTRIBUTIONS = {
    "huggingface_hub": "huggingface-hub",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "lightning_fabric": "lightning-fabric",
}
"""The names by which packages are installed, where they are imported by others."""

WITH_ROBUSTBENCH = {"gdown", "pyautoattack", "timm"}
"""Packages that RobustBench brings, and that are imported by us too."""

WITH_ART = {"PIL", "scipy", "sklearn"}
"""Packages of extras that come with ART, torch and torchvision in any case."""


class Finder:
    """A finder of modules that finds none of some packages, as where they are not installed."""

    def __init__(self, blocked: set[str]) -> None:
        self._blocked = blocked

    def find_spec(self, name: str, *_: object) -> None:
        """Says that a module of these packages is not there, and leaves others to the next finder."""
        if name.partition(".")[0] in self._blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def described(blocked: set[str], name: str) -> object:
    """Returns what a package says of itself, if it is there."""
    if name in blocked:
        raise importlib.metadata.PackageNotFoundError(name)
    return importlib.metadata.distribution(name).metadata


@contextmanager
def without(blocked: set[str]) -> Iterator[None]:
    """Makes packages missing, and everything of ours be imported anew, for a while."""
    before = dict(sys.modules)
    for name in before:
        if name.partition(".")[0] == "counteract" or blocked & set(name.split(".")):  # torch.utils.tensorboard, too
            del sys.modules[name]
    finder = Finder(blocked)
    sys.meta_path.insert(0, finder)
    try:
        with mock.patch.object(importlib.metadata, "metadata", partial(described, blocked)):
            yield
    finally:
        sys.meta_path.remove(finder)
        for name in set(sys.modules) - set(before):
            del sys.modules[name]
        sys.modules.update(before)


PLUGIN = """
import numpy as np, torch
from art.estimators.classification import PyTorchClassifier
from counteract import Counteraction, DefendedClassifier, DefendedModule, RandomCropResize, from_art, __version__
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 10)).eval()
x = np.random.default_rng(0).random((2, 3, 32, 32), dtype=np.float32)
defence, crops = Counteraction(net), RandomCropResize((22, 30))
classifier = DefendedClassifier(
    net, torch.nn.CrossEntropyLoss(), (3, 32, 32), 10, clip_values=(0, 1), preprocessing_defences=defence,
    transforms=[crops], executions=2,
)
assert classifier.predict(x).shape == classifier.loss_gradient(x, np.array([1, 2]))[:, 0, 0, :10].shape == (2, 10)
assert DefendedModule(net, preprocessing_defences=[defence])(torch.from_numpy(x)).shape == (2, 10)
undefended = PyTorchClassifier(net, torch.nn.CrossEntropyLoss(), (3, 32, 32), 10, clip_values=(0, 1))
assert isinstance(from_art(undefended), torch.nn.Module)
"""


def packages(extra: str) -> set[str]:
    """Returns the packages of an extra that are not there without it."""
    return EXTRAS[extra] - WITH_ART


def call(line: str, blocked: set[str]) -> int:
    """Runs a command for which some packages are missing; returns its exit code."""
    with without(blocked), pytest.raises(SystemExit) as stopped:
        importlib.import_module("counteract.cli").main(line.split())
    return int(stopped.value.code or 0)


def test_the_plug_ins_need_no_extra() -> None:
    with without(set().union(*map(packages, EXTRAS))):
        exec(PLUGIN, {})


@pytest.mark.parametrize("package", sorted(packages("evaluate") - {"tomli"}))
def test_the_command_says_which_extra_is_missing(package: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("evaluate --limit 1 --attack clean --attack pgd1 --defence undefended", {package}) == 2
    assert capsys.readouterr() == ("", f"counteract: {package} is not installed: {how_to_install('evaluate')}\n")


@pytest.mark.parametrize(
    ("code", "extra", "package"),
    [
        ("import counteract; counteract.evaluate", "evaluate", "pydantic"),
        ("import counteract; counteract.audit", "evaluate", "filelock"),
        ("from counteract import attack", "evaluate", "torchattacks"),
        ("from counteract import load_model", "evaluate", "pydantic"),
        ("from counteract import register_defence", "evaluate", "pydantic"),
        ("from counteract import register_attack", "evaluate", "pydantic"),
        ("from counteract.datasets import load_dataset", "evaluate", "platformdirs"),
        ("from counteract.models.loading import load_model", "evaluate", "pydantic"),
        ("import counteract.evaluation.spec", "evaluate", "pydantic"),
        ("import counteract.reporting", "evaluate", "rich"),
        ("import counteract.training", "train", "lightning_fabric"),
        ("import counteract.training", "train", "tensorboard"),
        ("import counteract.training", "train", "pydantic"),
        ("from counteract.reporting.write import page_maker; page_maker()", "report", "jinja2"),
        ("from counteract.reporting.write import page_maker; page_maker()", "report", "matplotlib"),
    ],
)
def test_imports_say_which_extra_is_missing(code: str, extra: str, package: str) -> None:
    line = f"{package} is not installed: {how_to_install(extra)}"
    with without({package}), pytest.raises(ValueError, match=f"^{re.escape(line)}$"):
        exec(code, {})


@pytest.mark.parametrize(
    ("line", "extra"),
    [
        ("train --epochs 1 --out {out}", "train"),
        ("report {results}/adaptive --out {out}", "report"),
        ("models --robustbench", "robustbench"),
        ("evaluate --limit 1 --attack autoattack --defence undefended", "robustbench"),
        ("evaluate --limit 1 --model robustbench:cifar10/Linf/Wong2020Fast", "robustbench"),
    ],
)
def test_commands_say_which_extra_is_missing(
    line: str, extra: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = line.format(results=ROOT / "eval" / "results", out=tmp_path)
    assert call(line, packages(extra) - packages("evaluate")) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert said.endswith(f"{how_to_install(extra)}\n")


def test_an_evaluation_without_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"evaluate --limit 2 --attack clean --defence undefended --out {tmp_path}"
    assert call(line, packages("report") - packages("evaluate")) == 0
    assert (tmp_path / "report.md").exists()
    assert not (tmp_path / "report.html").exists()
    assert f"\nleft out: report.html: jinja2 is not installed: {how_to_install('report')}\n" in capsys.readouterr().out


def test_other_failures_are_not_taken_for_a_missing_extra() -> None:
    with pytest.raises(ModuleNotFoundError, match="numba"), needing("evaluate"):
        raise ModuleNotFoundError("No module named 'numba'", name="numba")
    with pytest.raises(ImportError, match="BaseModel"), needing("evaluate"):
        raise ImportError("cannot import name 'BaseModel' from 'pydantic'", name="pydantic")
    assert explain_missing(ModuleNotFoundError("no", name="counteract.robustbench")) is None


def test_a_package_of_another_extra_is_told_with_that() -> None:
    with pytest.raises(UserError, match=re.escape("pip install '.[report]'")), needing("evaluate"):
        raise ModuleNotFoundError("No module named 'jinja2.nodes'", name="jinja2.nodes")


@pytest.mark.parametrize("extra", EXTRAS)
def test_extras_are_those_of_the_package(extra: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = project["optional-dependencies"]
    names = {re.split(r"[<>\[;]", each)[0] for each in found[extra] if not each.startswith("art-counteract[")}
    whole = names | {re.split(r"[<>\[;]", each)[0] for each in found["evaluate"]}
    brought = WITH_ROBUSTBENCH if extra == "robustbench" else set()
    assert {DISTRIBUTIONS.get(each, each) for each in EXTRAS[extra] - brought} == whole
