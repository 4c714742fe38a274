"""The lists of names, in the terminal and in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from counteract.attacks import ATTACKS, find_attack
from counteract.cli import main
from counteract.datasets.registry import DATASETS
from counteract.defences import defence_names

DOCS = Path(__file__).parents[2] / "docs"


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert not stopped.value.code
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("attacks", ["clean", "pgdK", "pgdK-targeted", *(name for name in ATTACKS if name != "clean")]),
        ("defences", defence_names()),
        ("datasets", list(DATASETS)),
    ],
)
def test_each_name_has_a_line(command: str, names: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    listed = [line.split() for line in printed([command], capsys).splitlines() if re.match(r"  \S", line)]
    assert [line[0] for line in listed] == ["name", *names]
    assert all(len(line) > 1 for line in listed)
    markdown = printed([command, "--markdown"], capsys).splitlines()
    assert [re.findall(r"`(.*?)`", line)[0] for line in markdown[2:]] == names


def test_the_attacks_of_the_list_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    for name in re.findall(r"^\| `(.*?)`", printed(["attacks", "--markdown"], capsys), re.MULTILINE):
        find_attack(name.replace("K", "7"))


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
