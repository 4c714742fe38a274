"""The data of `eval/`, in a clone and in an installed package."""

from __future__ import annotations

from pathlib import Path

import pytest

from counteract import _data
from counteract._data import data_folder
from counteract._errors import UserError


def test_a_clone_has_the_experiments_and_the_papers_figures() -> None:
    assert "table1.toml" in {path.name for path in data_folder("experiments").iterdir()}
    assert list(data_folder("paper").iterdir())


def test_an_installed_package_has_them_beside_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "_data" / "paper").mkdir(parents=True)
    monkeypatch.setattr(_data, "files", lambda _: tmp_path)
    assert data_folder("paper") == tmp_path / "_data" / "paper"


def test_a_broken_installation_is_told() -> None:
    with pytest.raises(UserError, match=r"the papers data are missing: neither .* nor .* is a folder; install again"):
        data_folder("papers")  # type: ignore[arg-type]
