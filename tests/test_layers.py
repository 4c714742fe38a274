"""The drawing of the house: each piece imports what is below it and nothing of what is above, and tests mirror it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "counteract"

LAYERS: dict[str, set[str]] = {
    "ground": set(),
    "preprocessors": {"ground"},
    "postprocessing": {"ground", "preprocessors"},
    "defended": {"ground", "preprocessors", "postprocessing"},
    "whole": {"ground", "preprocessors", "defended", "models"},
    "classifier": {"ground", "preprocessors", "defended"},
    "datasets": {"ground"},
    "models": {"ground", "robustbench"},
    "robustbench": {"ground", "models", "defended"},
    "training": {"ground", "datasets", "models"},
    "defences": {"ground", "preprocessors", "postprocessing", "defended", "whole", "datasets", "models"},
    "attacks": {"ground", "preprocessors", "defended", "whole", "defences", "classifier", "models", "robustbench"},
}
LAYERS["evaluation"] = {*LAYERS, "attacks"} - {"training"}
LAYERS["auditing"] = {*LAYERS["evaluation"], "evaluation"}
LAYERS["reporting"] = {*LAYERS["auditing"], "auditing"}
"""The pieces, and those that each may import; `ground` is the private modules."""

UNTESTED = {"__init__.py", "__main__.py"}
"""Modules without tests of their own, by their name or their path: there is nothing in them to go wrong."""

OF_THE_WHOLE = {
    "defences/test_shipped.py",
    "models/test_sweep.py",
    "test_examples.py",
    "test_notebooks.py",
    "test_scripts.py",
    "test_captions.py",
    "test_docs.py",
    "test_site.py",
    "test_import.py",
    "test_layers.py",
    "test_package.py",
    "cli/test_fuzz.py",
    "evaluation/test_regression.py",
    "robustbench/test_every_network.py",
}
"""Tests that belong to no one module; besides them those of `eval/`, which mirror its scripts."""

TOP = {"__init__", "__main__", "cli"}
"""The pieces that may import anything, and which nothing imports."""

OPTIONAL = "robustbench"
"""The piece that others import inside of functions only, so that its extra need not be installed."""


def piece_of(module: str) -> str:
    """Returns the piece that a module, `counteract.attacks.pgd` for one, belongs to."""
    first = module.split(".")[1] if "." in module else "__init__"
    return "ground" if first.startswith("_") and first not in TOP else first


def imports(tree: ast.AST, *, inside: bool = False) -> Iterator[tuple[str, int, bool]]:
    """Yields the modules of this package that a file imports, their lines, and whether a function does it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            whole = node.module == "counteract"  # `from counteract import _random`: the name is the module
            for module in [f"counteract.{alias.name}" for alias in node.names] if whole else [node.module]:
                yield module, node.lineno, inside
        else:
            yield from imports(node, inside=inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@cache
def arrows() -> list[tuple[str, str, str, bool]]:
    """Returns, for each import of ours, the importing piece, the imported one, the place, and whether it is inside."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        module = ".".join(["counteract", *path.relative_to(SOURCE).with_suffix("").parts])
        for imported, line, inside in imports(ast.parse(path.read_text(encoding="utf-8"))):
            if imported.partition(".")[0] == "counteract":
                found.append((piece_of(module), piece_of(imported), f"{path}:{line}: {imported}", inside))
    return found


def test_the_pieces_are_those_of_the_house() -> None:
    assert {source for source, *_ in arrows()} | {"ground"} == {*LAYERS, *TOP}


@pytest.mark.parametrize("piece", LAYERS)
def test_imports_point_down(piece: str) -> None:
    allowed = LAYERS[piece] | {piece}
    wrong = [place for source, target, place, _ in arrows() if source == piece and target not in allowed]
    assert not wrong, "\n" + "\n".join(wrong)


def test_what_is_optional_is_imported_where_it_is_used() -> None:
    wrong = [place for source, target, place, inside in arrows() if target == OPTIONAL != source and not inside]
    assert not wrong, "\n" + "\n".join(wrong)


def test_no_arrow_makes_a_ring() -> None:
    """But for that between the networks and the optional zoo among them."""
    above = {piece: below - {OPTIONAL} for piece, below in LAYERS.items()}
    while free := [piece for piece, below in above.items() if not below & set(above)]:
        for piece in free:
            del above[piece]
    assert not above


def test_every_module_has_its_tests_and_all_tests_have_their_module() -> None:
    """The tests of `attacks/pgd.py` are `attacks/test_pgd.py`, those of `_files.py` are `test_files.py`."""
    modules = {path.relative_to(SOURCE) for path in SOURCE.rglob("*.py") if path.name not in UNTESTED}
    expected = {
        path.with_name(f"test_{path.name.removeprefix('_')}").as_posix()
        for path in modules
        if path.as_posix() not in UNTESTED
    }
    found = {path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py")}
    found -= {path for path in found if path.startswith("eval/")}
    assert found - expected == OF_THE_WHOLE
    assert expected - found == set()
