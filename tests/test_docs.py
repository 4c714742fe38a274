"""Documentation is true: the README's examples run, tables are those of the registries, and links lead somewhere."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from reports import read_rows, to_table
from torch import nn

from counteract._toml import read_toml
from counteract.attacks import attack_lines, library_lines
from counteract.attacks.libraries.registered import GROUP as ATTACKS_GROUP
from counteract.attacks.libraries.registered import REGISTERED
from counteract.cli.listing import to_markdown
from counteract.datasets import DATASETS
from counteract.defences import defence_lines
from counteract.defences.registry import GROUP
from counteract.evaluation import experiment_names, make_spec, read_spec
from counteract.robustbench import zoo
from counteract.robustbench.shims import import_robustbench
from counteract.robustbench.zoo import parse_name
from counteract.training import load_recipe

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "eval/results/README.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))

PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOML = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:\s]+)(#[^)\s]*)?\)")

SHOWN = [ROOT / "README.md", ROOT / "docs" / "python.md"]
"""Pages whose examples print something, and say what."""

EXAMPLES = [(page, block) for page in SHOWN for block in PYTHON.findall(page.read_text(encoding="utf-8"))]

PRINTED = re.compile(r"\A\n[^\n]*prints\n\n```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""The block of what an example prints, right after it and a line that ends in `prints`."""

LISTS: dict[str, Sequence[tuple[str, str]]] = {
    "attacks": attack_lines(),
    "attacks --library torchattacks": library_lines("torchattacks"),
    "attacks --library art": [line for line in library_lines("art") if line[0] != "art:BrendelBethgeAttack"],
    "defences": defence_lines(),
    "datasets": [(source.name, source.help) for source in DATASETS.values()],
}
"""The lists that stand in the documentation, by the command that prints them; one attack is there where numba is."""

OLD_WORDS = re.compile(
    r"--budget|--error\b|forward.equivalents|\bnull attack|cells\.jsonl|bare network|--(attack|defence) (none|null)\b|"
    r"evaluation\.(Means|evaluate|preset_for)|minus static"
)
"""Words of earlier versions, which only the change log may use."""


def test_the_readme_has_examples() -> None:
    assert [page.name for page, _ in EXAMPLES] == ["README.md"] * 2 + ["python.md"] * 3


@pytest.mark.parametrize(("page", "block"), EXAMPLES, ids=lambda value: getattr(value, "name", ""))
def test_an_example_prints_what_its_page_says(page: Path, block: str, tmp_path: Path) -> None:
    """In a Python of its own; numbers may differ from machine to machine, and so does all but the first line."""
    script = tmp_path / "example.py"
    script.write_text(block, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    if said := PRINTED.match(page.read_text(encoding="utf-8").partition(f"```python\n{block}```\n")[2]):
        assert re.sub(r"\d+", "#", done.stdout).splitlines()[0] == re.sub(r"\d+", "#", said[1]).splitlines()[0]


def test_pages_say_what_their_examples_print() -> None:
    texts = [page.read_text(encoding="utf-8").partition(f"```python\n{block}```\n")[2] for page, block in EXAMPLES]
    assert sum(PRINTED.match(text) is not None for text in texts) == 3


def test_the_table_of_the_readme_is_that_of_the_record() -> None:
    """The record is longer; whoever measures again sees here the lines of the README to change."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"<!-- eval/results/art-defences, iat -->\n((?:\|.*\n)+)", text)
    names = [line.split(" | ")[0].strip("| ") for line in table.splitlines()[2:]]
    rows = {row.defence: row for row in read_rows(ROOT / "eval" / "results" / "art-defences" / "report.md", "iat")}
    assert len(names) >= 5
    assert table == to_table([rows[name] for name in names]) + "\n"


OWN = (ROOT / "docs" / "your-own-defence.md").read_text(encoding="utf-8")

COMMANDS = [line for block in re.findall(r"^```bash\n(.*?)^```$", OWN, re.M | re.S) for line in block.splitlines()]


@pytest.fixture(scope="module")
def own_defences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the page about own defences shows."""
    folder = tmp_path_factory.mktemp("own")
    for block in PYTHON.findall(OWN):
        name = block.partition("\n")[0].removeprefix("# ")
        (folder / name).write_text(block, encoding="utf-8")
    (folder / "spec.toml").write_text(TOML.findall(OWN)[0], encoding="utf-8")
    return folder


@pytest.mark.parametrize("line", [*COMMANDS, "counteract evaluate spec.toml", "in_python.py"])
def test_examples_of_the_page_about_own_defences_run(line: str, own_defences: Path) -> None:
    command = ["-m", *shlex.split(line)] if line.startswith("counteract ") else [line]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, cwd=own_defences, env=environment, check=False
    )
    assert done.returncode in ((0, 1, 3) if " audit " in line else (0,)), done.stderr
    assert "worst" in done.stdout or "Median" in done.stdout


ELSEWHERE = [page for page in PAGES if page not in SHOWN and page.name != "your-own-defence.md"]
"""Pages whose examples are run one by one, each by itself."""

SNIPPETS = [(page, block) for page in ELSEWHERE for block in PYTHON.findall(page.read_text(encoding="utf-8"))]

NETS = """
from torch import nn


def make_net():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10))
"""
"""A module of the reader's, `my_package.nets`."""


def _of_the_zoo(name: str, **_: object) -> nn.Module:
    """Returns a small network for one of RobustBench's, which would have to be downloaded."""
    parse_name(name)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10)).eval()


@pytest.mark.parametrize(("page", "block"), SNIPPETS, ids=lambda value: getattr(value, "name", ""))
def test_every_other_example_runs_by_itself(
    page: Path, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder with the files that it speaks of; RobustBench's benchmark is called as it says, to no end."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "nets.py").write_text(NETS, encoding="utf-8")
    torch.save(_of_the_zoo("cifar10/Linf/Any").state_dict(), "net.pt")
    monkeypatch.setattr(zoo, "load_robustbench", _of_the_zoo)
    if "benchmark(" in block:
        pytest.importorskip("pyautoattack", reason="needs pip install '.[robustbench]'")
        robustbench = import_robustbench()
        monkeypatch.setattr(robustbench, "benchmark", _called_as(inspect.signature(robustbench.benchmark)))
    with mock.patch.dict(REGISTERED):
        exec(compile(block, page.name, "exec"), {"__name__": "example"})


def _called_as(signature: inspect.Signature) -> Callable[..., tuple[float, float]]:
    """Returns a function of a signature that takes a network and measures nothing."""

    def benchmark(*positional: Any, **named: Any) -> tuple[float, float]:
        network = signature.bind(*positional, **named).args[0]
        assert network(torch.rand(2, 3, 32, 32)).shape == (2, 10)
        return 0.0, 0.0

    return benchmark


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_toml_of_the_docs_is_read(page: Path, tmp_path: Path) -> None:
    """As what it is: a recipe, a spec, or an entry point."""
    for number, text in enumerate(TOML.findall(page.read_text(encoding="utf-8"))):
        path = tmp_path / f"{number}.toml"
        path.write_text(text, encoding="utf-8")
        if page.name == "training.md":
            assert load_recipe(str(path), "iat").attack_steps == 3
        elif "[project.entry-points" in text:
            assert read_toml(path, page.name)["project"]["entry-points"].keys() <= {GROUP, ATTACKS_GROUP}
        else:
            assert make_spec(read_spec(str(path)), str(path)).defences


def test_the_entry_point_in_the_docs_is_of_our_group() -> None:
    assert f'[project.entry-points."{GROUP}"]' in OWN


def test_every_experiment_stands_on_its_page() -> None:
    rows = re.findall(r"^\| (`.*?`) \|", (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(re.findall(r"`([\w-]+)`", " ".join(rows))) == experiment_names()


def test_the_spec_in_the_docs_is_one(tmp_path: Path) -> None:
    (text,) = TOML.findall((ROOT / "docs" / "experiments.md").read_text(encoding="utf-8"))
    path = tmp_path / "spec.toml"
    path.write_text(text, encoding="utf-8")
    spec = make_spec(read_spec(str(path)), str(path))
    assert spec.threat_model.eps == pytest.approx(4 / 255)
    assert spec.step == pytest.approx(1 / 255)


@pytest.mark.parametrize("command", LISTS)
def test_lists_are_those_of_the_registries(command: str) -> None:
    caption, table = f"<!-- counteract {command} --markdown -->", to_markdown(LISTS[command])
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    assert sum(text.count(caption) for text in texts) == 1
    assert any(f"{caption}\n{table}\n\n" in text for text in texts)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target, heading in LINK.findall(page.read_text(encoding="utf-8")):
        path = page.parent / target
        assert path.exists(), target
        if heading:
            assert heading[1:] in anchors(path), target + heading


def anchors(page: Path) -> set[str]:
    """Returns the anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_words_are_those_of_today(page: Path) -> None:
    found = [match[0] for match in OLD_WORDS.finditer(page.read_text(encoding="utf-8"))]
    assert not found
