"""`counteract attacks`: every attack by its name."""

from __future__ import annotations

import re

import pytest
from cli.listed import names_in, printed

from counteract.attacks import ATTACKS, find_attack
from counteract.cli import main


def test_each_name_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert names_in("attacks", capsys) == [
        "clean",
        "pgdK",
        "pgdK-targeted",
        *(name for name in ATTACKS if name != "clean"),
        "torchattacks:NAME",
        "art:NAME",
        "autoattack",
        "autoattack-rand",
        "file:DIR",
    ]


def test_the_attacks_of_the_list_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    for name in re.findall(r"^\| `(.*?)`", printed(["attacks", "--markdown"], capsys), re.MULTILINE):
        find_attack(name.replace("K", "7").replace("NAME", "DeepFool"))


@pytest.mark.parametrize(("library", "count"), [("torchattacks", 37), ("art", 58)])
def test_the_attacks_of_a_library_are_listed_one_by_one(
    library: str, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = re.findall(
        r"^\| `(.*?)` \| (.*) \|$", printed(["attacks", "--library", library, "--markdown"], capsys), re.MULTILINE
    )
    assert len(lines) == count
    for name, about in lines:
        assert name.startswith(f"{library}:")
        if about.startswith("cannot be used here: "):
            with pytest.raises(ValueError, match=about):
                find_attack(name)
            continue
        kinds = about.partition(":")[0].split(", ")
        assert kinds[0] in ("eps in Linf", "eps in L2", "eps in L1", "projected")
        assert ("gradients" in kinds) == find_attack(name).gradients
        if "-targeted" in kinds:
            assert find_attack(f"{name}-targeted").targeted


def test_another_library_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["attacks", "--library", "foolbox"])
    assert stopped.value.code == 2
    assert "library of attacks 'foolbox' is not known; known: torchattacks, art" in capsys.readouterr().err
