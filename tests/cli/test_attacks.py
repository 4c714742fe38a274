"""`counteract attacks`: every attack by its name."""

from __future__ import annotations

import re

import pytest
from cli.listed import names_in, printed

from counteract.attacks import ATTACKS, find_attack


def test_each_name_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert names_in("attacks", capsys) == [
        "clean",
        "pgdK",
        "pgdK-targeted",
        *(name for name in ATTACKS if name != "clean"),
    ]


def test_the_attacks_of_the_list_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    for name in re.findall(r"^\| `(.*?)`", printed(["attacks", "--markdown"], capsys), re.MULTILINE):
        find_attack(name.replace("K", "7"))
