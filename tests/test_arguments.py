"""Arguments that are refused by name, and NumPy's numbers, which are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from counteract._arguments import check_count, check_flag, check_integer, check_real, check_text
from counteract._errors import UserError


@pytest.mark.parametrize(
    ("check", "found"),
    [
        (lambda: check_count("n", np.int64(3)), 3),
        (lambda: check_count("n", 0, least=0), 0),
        (lambda: check_integer("seed", np.int8(-3)), -3),
        (lambda: check_real("eps", np.float32(0.5)), 0.5),
        (lambda: check_flag("trust", np.bool_(True)), True),
        (lambda: check_text("name", Path("a") / "b", "a name"), str(Path("a") / "b")),
    ],
)
def test_what_fits_comes_back_as_pythons_own(check: Callable[[], Any], found: object) -> None:
    assert check() == found
    assert type(check()) is type(found)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: check_count("n", 0), "n must be an integer of at least 1, found 0"),
        (lambda: check_count("n", True), "n must be an integer of at least 1, found True"),
        (lambda: check_integer("seed", 2.0), "seed must be an integer, found 2.0"),
        (lambda: check_integer("seed", "2"), "seed must be an integer, found '2'"),
        (lambda: check_real("eps", float("nan")), "eps must be a number from 0 to inf, found nan"),
        (lambda: check_real("eps", 2, high=1, what=", a share"), "eps must be a number from 0 to 1, a share, found 2"),
        (lambda: check_flag("trust", 1), "trust must be True or False, found 1"),
        (lambda: check_text("name", 3, "a name, or a path"), "name must be a name, or a path, found 3"),
        (lambda: check_text("name", None, "a name"), "name must be a name, found None"),
        (lambda: check_text("name", b"a", "a name"), "name must be a name, found b'a'"),
    ],
)
def test_others_are_refused_by_name(check: Callable[[], Any], message: str) -> None:
    with pytest.raises(UserError) as refused:
        check()
    assert str(refused.value) == message
