"""TOML files and models: errors are one line, which names file and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import model_validator

from counteract._errors import UserError
from counteract._toml import read_toml, validate
from counteract._values import Count, Positive, Strict


class Inner(Strict):
    step: Positive = 1.0


class Outer(Strict):
    count: Count
    inner: Inner = Inner()


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "Größe"\n[inner]\nstep = 2\n', encoding="utf-8")
    assert read_toml(path, "spec mine.toml") == {"name": "Größe", "inner": {"step": 2}}
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())  # as editors on Windows mark UTF-8
    assert read_toml(path, "spec mine.toml") == {"name": "Größe", "inner": {"step": 2}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "^spec mine.toml cannot be read: No such file or directory$"),
        (b"name = ", "^spec mine.toml is not valid TOML: .*at end of document"),
        (b"name = '\xff'", "^spec mine.toml is not valid TOML: .*0xff"),
        (b"a = " + b"[" * 50_000, "^spec mine.toml is not valid TOML: .*(recursion|nested)"),
        (b"a = " + b"9" * 50_000, "^spec mine.toml is not valid TOML: .*4300.* digits"),
        (b"x = 1\n" + b"a." * 30_000 + b"a = 1", "^spec mine.toml: line 2 has more than 200 dots$"),
        (b"#" * 2**21, "^spec mine.toml has 2,097,152 bytes: at most 1,048,576 are read$"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_toml(path, "spec mine.toml")


def test_a_model_is_made() -> None:
    assert validate(Outer, {"count": 3, "inner": {"step": "1/2"}}, "mine.toml") == Outer(count=3, inner=Inner(step=0.5))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "^mine.toml: count: Field required$"),
        ({"count": 0}, "^mine.toml: count: .*greater than or equal to 1, found 0$"),
        ({"count": 1, "conut": 2}, "^mine.toml: conut: Extra inputs are not permitted, found 2$"),
        ({"count": 1, "inner": {"step": "a"}}, r"^mine.toml: inner\.step: .*a fraction such as \"8/255\", found 'a'$"),
    ],
)
def test_the_first_mistake_names_file_and_key(data: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        validate(Outer, data, "mine.toml")


def test_a_mistake_of_all_keys_together_does_not_show_them_all() -> None:
    class Pair(Strict):
        low: int
        high: int

        @model_validator(mode="after")
        def _check(self) -> Pair:
            if self.low > self.high:
                raise ValueError("low is above high")
            return self

    with pytest.raises(UserError, match=r"^mine\.toml: low is above high$"):
        validate(Pair, {"low": 2, "high": 1}, "mine.toml")
