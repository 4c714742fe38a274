"""RobustBench's published figures: as its description has them, and as `counteract models` lists them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace
from typing import Any

import pytest

from counteract._errors import UserError
from counteract.cli import main
from counteract.robustbench import published

DESCRIPTION = """
### CIFAR-10
#### Linf, eps=8/255
| <sub>#</sub> | <sub>Model ID</sub> | Paper | <sub>Clean accuracy</sub> | Robust accuracy | Architecture | Venue |
|:---:|---|:---:|:---:|:---:|:---:|:---:|
| <sub>**1**</sub> | <sub><sup>**First2020**</sup></sub> | <sub>*[a](b)*</sub> | 90.10% | 60.25% | WRN-28-10 | c |
| <sub>**2**</sub> | <sub>**Both2021**</sub> | a | 80% | 50% | ResNet-18 | c |
#### L2, eps=0.5
| 1 | Both2021 | a | 85.5% | 70% | ResNet-18 | c |
### CIFAR-100
#### Common Corruptions
| 1 | Both2021 | a | 70% | 40% | ResNet-18 | c |
| 2 | Both2021 | a | 1% | 1% | a second line of the same name | c |
"""


def test_tables_are_read_without_their_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "metadata", lambda _: SimpleNamespace(get_payload=lambda: DESCRIPTION))
    assert published.published() == {
        ("cifar10", "Linf", "First2020"): ("WRN-28-10", 90.1, 60.25),
        ("cifar10", "Linf", "Both2021"): ("ResNet-18", 80.0, 50.0),
        ("cifar10", "L2", "Both2021"): ("ResNet-18", 85.5, 70.0),
        ("cifar100", "corruptions", "Both2021"): ("ResNet-18", 70.0, 40.0),
    }


def test_without_robustbench_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(published, "metadata", missing)
    with pytest.raises(UserError, match="pip install"):
        published.published()


def call(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return int(stopped.value.code or 0)


def test_the_zoo_is_listed(zoo: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["models", "--robustbench", "--dataset", "cifar10", "--threat-model", "Linf"]) == 0
    printed = capsys.readouterr().out
    (line,) = [line for line in printed.splitlines() if "robustbench:cifar10/Linf/Engstrom2019Robustness" in line]
    assert line.split()[1:] == ["ResNet-50", "87.03", "49.25"]
    assert printed.count("robustbench:cifar10/Linf/") == 76
    assert "cifar100" not in printed
    assert "not eligible for its leaderboard" in " ".join(printed.split())
