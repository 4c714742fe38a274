"""Argument vectors and files that nobody thought of: no traceback, no hang, one line, and an exit code that means it.

Each runs in a child of a warm process, with a bound on its time and its memory.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripts import EVAL, load_script

from counteract._sealed import seal
from counteract.cli import main
from counteract.cli.app import app

if not sys.platform.startswith("linux"):
    pytest.skip("children of a warm process and bounds on memory are Linux's", allow_module_level=True)

SECONDS, MEMORY, LONGEST = 30.0, 4 * 2**30, 300
"""The bounds of a case, and of its line."""

SMALL = ["--device", "cpu", "--attack", "clean", "--defence", "undefended", "--cache", "cache"]
RUN = ["evaluate", "--limit", "2", *SMALL, "--model", "own:works"]
TRAIN = ["train", "--arch", "resnet8", "--width", "2", "--epochs", "1", "--limit", "60", "--out", "trained"]


def times(count: int) -> settings:
    """The settings of a test of so many cases, always the same ones."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=count, derandomize=True, deadline=None, database=None, suppress_health_check=slow)


class Runner(NamedTuple):
    """The warm process, and the folders where cases run."""

    warm: Any
    request: Any
    template: Path

    def check(self, arguments: list[str], **files: bytes) -> int:
        """Runs a command line beside some files, and makes sure that it ends well."""
        with tempfile.TemporaryDirectory(dir=self.template.parent) as parent:
            folder = Path(parent) / "case"
            shutil.copytree(self.template, folder)
            for name, content in files.items():
                (folder / name.replace("_", ".")).write_bytes(content)
            found = self.warm.run(self.request(arguments, str(folder), seconds=SECONDS, memory=MEMORY))
        assert found.code is not None, "it hangs"
        assert found.code in (0, 2), (found.code, found.stderr)
        assert "Traceback" not in found.stderr, found.stderr
        if found.code == 2:
            (line,) = found.stderr.splitlines()
            assert line.startswith("counteract: ")
            assert len(line) <= LONGEST
            assert line.isprintable()
        return int(found.code)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    module = load_script("bad_inputs/warm.py")
    template = tmp_path_factory.mktemp("fuzz") / "template"
    template.mkdir()
    shutil.copy(EVAL / "bad_inputs" / "own.py", template)
    with module.Warm() as warm:
        yield Runner(warm, module.Request, template)


words = st.text(st.characters(exclude_characters="\0"), max_size=12)
numbers = st.sampled_from(["0", "-1", "1", "8/255", "1e-3", "1e999", "nan", "inf", "٣", "0x1", "1_0", "9" * 400, "1/0"])
NAMES = [
    "own:works", "own:first_key", "own:", "digits", "pgd1", "pgd0", "clean", "counteraction", "rotation+crop-pad",
    "cpu", "meta", "quick", "Linf", "float32", "train", "mine.npz", "mine.toml", "mine.safetensors", "mine.pt", ".",
    "/", "/dev/null", "/dev/full", "nowhere/x", "a=own:works", "0.5,0.5,0.5", "1,1", "table1", "--", "-h",
    "x" * 400,
]  # fmt: skip
values = st.one_of(words, numbers, st.sampled_from(NAMES))

BEGUN = [
    RUN,
    ["audit", "--limit", "2", "--model", "own:first_key"],
    TRAIN,
    ["report"],
    ["cache"],
    ["models"],
    ["attacks"],
]
"""The beginnings of command lines; what they go on with may go against it."""


NUMERIC = [
    "--eps",
    "--eps-step",
    "--limit",
    "--seeds",
    "--draws",
    "--batch-size",
    "--mean",
    "--std",
    "--seed",
    "--alpha",
]


def options_of(begun: list[str]) -> list[str]:
    """Returns the options of a command that a line does not have yet, and one that it has."""
    command = typer.main.get_command(app).commands[begun[0]]  # type: ignore[attr-defined]
    found = [option for parameter in command.params for option in parameter.opts if option.startswith("-")]
    return [option for option in found if option not in begun] + begun[1:2]


@st.composite
def vectors(draw: st.DrawFn) -> list[str]:
    """Command lines: options with a value or without one, and words."""
    begun = draw(st.sampled_from(BEGUN))
    line = [*begun]
    for option in draw(st.lists(st.sampled_from(options_of(begun)), max_size=3, unique=True)):
        value = draw(numbers if option in NUMERIC else values) if draw(st.integers(0, 7)) else draw(values | st.none())
        line.append(option if value is None else f"{option}={value}")
    return [*line, *draw(st.lists(values, max_size=1))]


@times(180)
@given(arguments=vectors())
def test_argument_vectors(runner: Runner, arguments: list[str]) -> None:
    runner.check(arguments)


class Files(dict[str, bytes]):
    """The contents of files by name, which a failing test does not print."""

    __repr__ = object.__repr__


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Files that are right, by the names that cases have for them."""
    import torch

    from counteract.models import Card, save_network

    folder = tmp_path_factory.mktemp("whole")
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3)).astype(np.uint8)
    arrays = {"images": images, "labels": np.arange(4), "class_names": np.array(list("0123456789"))}
    np.savez(folder / "stored.npz", **arrays)  # type: ignore[arg-type]
    np.savez_compressed(folder / "packed.npz", **arrays)  # type: ignore[arg-type]
    state = {"head.weight": torch.zeros(10, 3), "head.bias": torch.zeros(10)}
    torch.save(state, folder / "new.pt")
    torch.save({"state_dict": state, "best": np.float64(1)}, folder / "old.pt", _use_new_zipfile_serialization=False)
    card = Card(
        architecture="resnet8", width=2, class_names=tuple("0123456789"), mean=(0.5,) * 3, std=(0.5,) * 3,
        dataset="digits", method="mixup",
    )  # fmt: skip
    save_network(card.build(), card, folder / "net.safetensors")
    (folder / "spec.toml").write_text(
        'dataset = "digits"\nmodels = ["own:works"]\nattacks = ["clean", "pgd1"]\ndefences = ["undefended"]\n'
        'limit = 2\n[threat_model]\neps = "8/255"\n[preset]\nsteps = 2\n[parameters.counteraction]\nnum_labels = 3\n'
    )
    with pytest.raises(SystemExit):
        main(["evaluate", "--limit", "2", *SMALL[:-1], str(folder / "cache"), "--out", str(folder / "run")])
    (folder / "run.json").write_bytes((folder / "run" / "run.json").read_bytes())
    return Files((path.name, path.read_bytes()) for path in folder.iterdir() if path.is_file())


LINES = {
    "stored.npz": [*RUN, "--dataset", "mine.npz"], "packed.npz": [*RUN, "--dataset", "mine.npz"],
    "new.pt": [*RUN, "--weights", "mine.pt"], "old.pt": [*RUN, "--weights", "mine.pt"],
    "net.safetensors": [*RUN[:-1], "mine.safetensors"], "spec.toml": ["evaluate", "mine.toml", "--cache", "cache"],
    "run.json": ["report", "mine"],
}  # fmt: skip
"""The command lines that read a file."""

kinds = st.sampled_from(["flip", "cut", "put", "drop", "twice"])
damage = st.lists(st.tuples(st.floats(0, 1), kinds, st.binary(min_size=1, max_size=9)), min_size=1, max_size=3)


def damaged(content: bytes, changes: list[tuple[float, str, bytes]]) -> bytes:
    """Returns a file with some damage."""
    for place, kind, data in changes:
        at = int(place * len(content))
        before, after = content[:at], content[at:]
        content = {
            "flip": before + data + after[len(data) :],
            "cut": before,
            "put": before + data + after,
            "drop": before + after[len(data) :],
            "twice": before + after[: 50 * len(data)] + after,
        }[kind]
    return content


def run_on(runner: Runner, name: str, content: bytes) -> int:
    """Runs the command that reads a file of this name, on another content."""
    if name == "run.json":
        (runner.template / "mine").mkdir(exist_ok=True)
        (runner.template / "mine" / "run.json").write_bytes(content)
        return runner.check(LINES[name])
    return runner.check(LINES[name], **{f"mine_{name.partition('.')[2]}": content})


@pytest.mark.parametrize("name", LINES)
def test_files_are_right_before_they_are_damaged(runner: Runner, whole: Files, name: str) -> None:
    assert run_on(runner, name, whole[name]) == 0


@times(90)
@given(name=st.sampled_from(sorted(LINES)), changes=damage)
def test_damaged_files(runner: Runner, whole: Files, name: str, changes: list[tuple[float, str, bytes]]) -> None:
    run_on(runner, name, damaged(whole[name], changes))


plain = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=8),
    st.sampled_from(["digits", "clean", "pgd1", "undefended", "own:works", "quick", "counteraction", "8/255"]),
)  # fmt: skip
tree = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def change(content: Any, path: list[int], value: object) -> None:
    """Puts a value into some place of nested lists and tables."""
    keys = list(content) if isinstance(content, dict) else list(range(len(content)))
    if not keys:
        return
    key = keys[path[0] % len(keys)]
    if len(path) > 1 and isinstance(content[key], (dict, list)):
        change(content[key], path[1:], value)
    else:
        content[key] = value


@times(40)
@given(path=st.lists(st.integers(0, 9), min_size=1, max_size=3), value=tree)
def test_conditions_of_runs_that_say_something_else(
    runner: Runner, whole: Files, path: list[int], value: object
) -> None:
    content = json.loads(whole["run.json"])
    del content["sum"]
    change(content, path, value)
    run_on(runner, "run.json", seal(content))


def to_toml(value: object) -> str:
    """Returns a value as TOML has it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{to_toml(key)} = {to_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_toml, value)) + "]"
    if isinstance(value, (bool, float)):
        return str(value).lower()
    return json.dumps(str(value) if value is None else value, ensure_ascii=False).replace("\x7f", "")


KEYS = [
    "dataset", "models", "attacks", "defences", "limit", "seeds", "draws", "threat_model", "eps_step", "preset", "pool",
    "parameters", "settings", "sweep", "own_network", "precision", "illustrations", "extends", "cascade", "x",
]  # fmt: skip


@times(70)
@given(changes=st.dictionaries(st.sampled_from(KEYS), tree, min_size=1, max_size=2))
def test_specs_that_say_something_else(runner: Runner, changes: dict[str, object]) -> None:
    spec: dict[str, object] = {
        "dataset": "digits", "models": ["own:works"], "attacks": ["clean"], "defences": ["undefended"], "limit": 2,
    }  # fmt: skip
    text = "".join(f"{json.dumps(key)} = {to_toml(value)}\n" for key, value in (spec | changes).items())
    run_on(runner, "spec.toml", text.encode())
