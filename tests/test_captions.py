"""Docstrings begin with a noun, or with the verb of what is done: none begins as a clause does, with What or How."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "eval", "tests")
BEFORE_A_CLAUSE = re.compile(r"\W*(what|whether|how|which|where|when|why|who|whose)\b", re.IGNORECASE)


def captions(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yields every bare string with its line: docstrings, and those below constants and attributes."""
    for node in ast.walk(tree):
        for statement in getattr(node, "body", []) if not isinstance(node, ast.Lambda | ast.IfExp) else []:
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield statement.lineno, value.value


def clauses(path: Path) -> list[str]:
    """Returns the captions of a file that begin with a word that only a clause begins with."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        f"{path}:{line}: {text.strip().splitlines()[0]}" for line, text in captions(tree) if BEFORE_A_CLAUSE.match(text)
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_caption_is_a_clause(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    found = [line for path in files for line in clauses(path)]
    assert not found, "\n" + "\n".join(found)


def test_clauses_are_found_wherever_captions_stand(tmp_path: Path) -> None:
    path = tmp_path / "case.py"
    path.write_text(
        '"""How it begins."""\n'
        "X = 1\n"
        '"""whether X."""\n'
        "class A:\n"
        '    """A noun, and what follows."""\n'
        "    y: int\n"
        '    """\n    Which y."""\n'
        "    async def f(self) -> None:\n"
        '        """`What` f does."""\n'
        "        if X:\n"
        '            """However, this is fine."""\n'
    )
    assert [line.partition(": ")[2] for line in clauses(path)] == [
        "How it begins.",
        "whether X.",
        "Which y.",
        "`What` f does.",
    ]
