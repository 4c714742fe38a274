"""Anyone's objects by name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from counteract._factories import find_factory


def test_an_object_of_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_strangers.py").write_text("def make():\n    return 7\n")
    monkeypatch.chdir(tmp_path)
    before = sys.path.copy()
    assert find_factory("a_strangers:make", "defence")[1]() == 7
    assert sys.path == before
    monkeypatch.delitem(sys.modules, "a_strangers")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise KeyError('layer')", "defence broken:make failed with KeyError: 'layer'"),
        ("import no_such_thing", "module 'broken' cannot be imported: No module named 'no_such_thing'"),
        ("(", "defence broken:make failed with SyntaxError"),
        ("def mak(): ...", r"in module 'broken', factory 'make' is not known; did you mean mak\?"),
    ],
)
def test_what_cannot_be_imported_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, message: str
) -> None:
    (tmp_path / "broken.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    with pytest.raises(ValueError, match=message):
        find_factory("broken:make", "defence")
    monkeypatch.delitem(sys.modules, "broken", raising=False)


@pytest.mark.parametrize("name", [":make", ".own:make"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"must be 'package\.module:factory'"):
        find_factory(name, "defence")
