"""Check of captions: no docstring, and no text under a constant or field, begins with a question word."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDERS = ("src", "tests", "eval")
WORDS = frozenset({"What", "Whether", "How", "Which", "Why", "When", "Where"})


def questions(source: str) -> Iterator[tuple[int, str]]:
    """Yields the line and the first line of every caption that begins with a question word."""
    for node in ast.walk(ast.parse(source)):
        for statement in [*getattr(node, "body", ())] if isinstance(getattr(node, "body", None), list) else []:
            text = statement.value.value if _is_constant(statement) else None
            if isinstance(text, str) and (word := re.match(r"\w+", text.strip())) and word[0] in WORDS:
                yield statement.lineno, text.strip().splitlines()[0]


def _is_constant(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def main() -> int:
    """Names every such caption on stderr; returns 1 if there is one, else 0."""
    files = [path for folder in FOLDERS for path in sorted(Path(folder).rglob("*.py"))]
    found = [f"{path}:{line}: {text}" for path in files for line, text in questions(path.read_text(encoding="utf-8"))]
    sys.stderr.writelines(f"{each}\n" for each in found)
    if found:
        sys.stderr.write("captions are noun phrases, or say what is returned or done: see CONTRIBUTING.md\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
