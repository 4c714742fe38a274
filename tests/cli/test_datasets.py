"""`counteract datasets`: every dataset by its name."""

from __future__ import annotations

import pytest
from cli.listed import names_in

from counteract.datasets.registry import DATASETS


def test_each_name_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert names_in("datasets", capsys) == list(DATASETS)
