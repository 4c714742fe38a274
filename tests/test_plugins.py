"""Entry points of installed packages: several that bring one name, and those that fail."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from counteract._errors import UserError
from counteract._plugins import by_name, load_plugin


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, "counteract.defences")


def test_the_same_thing_may_be_brought_twice() -> None:
    found = by_name([entry("sign", "math:copysign"), entry("other", "math:sin"), entry("sign", "math:copysign")])
    assert [len(each) for each in found.values()] == [2, 1]
    assert load_plugin("defence sign", found["sign"])(1, -1) == -1


def test_one_name_of_two_packages_is_neither() -> None:
    entries = [entry("sign", "math:copysign"), entry("sign", "math:sin")]
    with pytest.raises(UserError, match=r"defence sign is brought by several .*, math:copysign, math:sin: uninstall"):
        load_plugin("defence sign", entries)


@pytest.mark.parametrize(("code", "reason"), [("raise OSError('x')", "OSError: x"), ("import sys; sys.exit(3)", "3")])
def test_one_that_fails_is_a_line(code: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "failing_plugin", raising=False)
    (tmp_path / "failing_plugin.py").write_text(code)
    with pytest.raises(UserError, match=f"attack a: failing_plugin:f of an installed package fails: .*{reason}"):
        load_plugin("attack a", [entry("a", "failing_plugin:f")])
