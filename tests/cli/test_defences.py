"""`counteract defences`: every defence by its name."""

from __future__ import annotations

import pytest
from cli.listed import names_in

from counteract.defences import defence_names


def test_each_name_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    others = ["art:NAME(...)", "package.module:factory(...)"]
    assert names_in("defences", capsys) == [*defence_names(), *others]
