"""The lists of names, in the terminal and in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cli.listed import printed

DOCS = Path(__file__).parents[2] / "docs"


def test_the_tables_of_the_documentation_are_made_from_the_registries(capsys: pytest.CaptureFixture[str]) -> None:
    """A table stands between the command that prints it, as a comment, and an empty line."""
    found = []
    for page in sorted(DOCS.glob("*.md")):
        for command, table in re.findall(
            r"<!-- counteract (\w+) --markdown -->\n(.*?)\n\n", page.read_text(), re.DOTALL
        ):
            assert table == printed([command, "--markdown"], capsys).strip(), f"{page.name}: {command}"
            found.append(command)
    assert sorted(found) == ["attacks", "datasets", "defences"]
