"""Bad inputs, some of each kind: each ends in one clear line; and what is counted as none."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from scripts import EVAL, load_script

if not sys.platform.startswith("linux"):
    pytest.skip("children of a warm process and bounds on memory are Linux's", allow_module_level=True)

EVERY = 8
"""One case in so many is run here; `python eval/bad_inputs/measure.py` runs all."""


@pytest.fixture(scope="module")
def measure() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EVAL / "bad_inputs")
        return load_script("bad_inputs/measure.py")


def test_one_case_in_some_ends_in_one_clear_line(measure: ModuleType) -> None:
    cases = measure.every_case()
    assert len(cases) > 1000
    assert len({(case.kind, case.name) for case in cases}) == len(cases)
    bad = []
    for case, outcome in measure.run_all(cases[::EVERY], seconds=30):
        found = measure.fault(case, outcome)
        if found is not None:
            bad.append((case.kind, case.name, found, outcome.stderr))
    assert bad == []


LINE = "counteract: eps must be positive\n"


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ((2, "", LINE), None),
        ((2, "", f"\n{LINE}"), None),
        ((None, "", ""), "hangs"),
        ((2, "", "Traceback (most recent call last):\n" + LINE), "a traceback"),
        ((1, "", LINE), "exit code 1"),
        ((0, "", LINE), "exit code 0"),
        ((2, "", ""), "0 lines"),
        ((2, "", LINE + LINE), "2 lines"),
        ((2, "", "counteract: " + "x" * 300), "312 characters"),
        ((2, "", "error: eps"), "an odd line"),
        ((2, "", "counteract: \x1b[31m"), "an odd line"),
        ((2, "a table", LINE), "something on stdout"),
    ],
)
def test_what_counts_as_one_clear_line(measure: ModuleType, outcome: Any, words: str | None) -> None:
    found = measure.Outcome(*outcome, 0.1)
    assert measure.fault(measure.Case("kind", "name", []), found) == words
    if words in ("2 lines", "something on stdout"):
        assert measure.fault(measure.Case("kind", "name", [], late=True), found) is None
