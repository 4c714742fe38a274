"""The packages: what is in the wheel and in the sdist, and that the main job runs from what they install."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

import counteract

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
BUILD = "import sys; from hatchling import build; build.build_wheel(sys.argv[1]); {more}"


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """The `[project]` table of pyproject.toml."""
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def build(source: Path, out: Path, more: str = "") -> None:
    """Builds a wheel, and whatever else is asked for, without a network."""
    command = [sys.executable, "-c", BUILD.format(more=more), str(out)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist of this repository."""
    pytest.importorskip("hatchling", reason="needs pip install '.[test]'")
    out = tmp_path_factory.mktemp("dist")
    build(ROOT, out, "build.build_sdist(sys.argv[1])")
    return out


def names(wheel: Path) -> set[str]:
    """Returns the names of the files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_the_package_and_its_data(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    found = names(wheel)
    source = ROOT / "src"
    ours = {path.relative_to(source).as_posix() for path in (source / "counteract").rglob("*") if path.is_file()}
    assert {name for name in ours if "__pycache__" not in name} <= found
    for folder in ("experiments", "paper"):
        assert {f"counteract/_data/{folder}/{path.name}" for path in (ROOT / "eval" / folder).iterdir()} <= found
    assert not [name for name in found if not name.startswith(("counteract/", "art_counteract-"))]
    assert wheel.stat().st_size < 10e6


def test_the_sdist_makes_the_same_wheel(built: Path, tmp_path: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    for name in ("tests/test_package.py", "README.md", "SECURITY.md", "CITATION.cff", "Makefile", ".ci/run", "docs"):
        assert (source / name).exists()
    out = tmp_path / "out"
    out.mkdir()
    build(source, out)
    assert names(next(out.iterdir())) == names(next(built.glob("*.whl")))


def test_the_main_job_runs_from_the_wheel(built: Path, tmp_path: Path) -> None:
    """As where it is installed: the sources are out of sight."""
    (wheel,) = built.glob("*.whl")
    place = tmp_path / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    line = ["evaluate", "--limit", "2", "--attack", "clean", "--attack", "pgd1", "--defence", "undefended"]
    done = subprocess.run(
        [sys.executable, "-m", "counteract", *line, "--out", "run"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(place)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "undefended" in done.stdout
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000


def test_one_version_everywhere(project: dict[str, Any]) -> None:
    assert counteract.__version__ == project["version"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    (released,) = re.findall(
        rf"^## {re.escape(counteract.__version__)} \((\d{{4}}-\d\d-\d\d)\)$", changes, re.MULTILINE
    )
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {counteract.__version__}\n" in citation
    assert f'\ndate-released: "{released}"\n' in citation


def test_every_python_and_the_oldest_torch_are_tested(project: dict[str, Any]) -> None:
    """The workflow's matrix has those of the classifiers, newer ones that could not be tried, and the lower bounds."""
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    pythons = [each.rpartition(" ")[2] for each in project["classifiers"] if re.search(r":: 3\.\d+$", each)]
    matrix, *_ = re.findall(r"^ +python: (\[.*\])$", workflow, re.MULTILINE)
    assert json.loads(matrix)[: len(pythons)] == pythons
    assert project["requires-python"] == f">={pythons[0]}"
    for name in ("torch", "torchvision"):
        (bound,) = [each for each in project["dependencies"] if each.startswith(f"{name}>=")]
        assert f"{bound.replace('>=', '==')}.*" in workflow


def test_nothing_is_said_to_be_on_an_index() -> None:
    """It is not: what there is to install is a clone."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "src").rglob("*.py")]
    assert not [page for page in pages if re.search(r"pip install [^\n]*art-counteract", page.read_text("utf-8"))]
