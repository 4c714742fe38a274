"""The examples in the documentation of the public names run, and give what they say."""

from __future__ import annotations

import doctest

import pytest

import counteract
from counteract.attacks.libraries import registered
from counteract.defences import registry

ELSEWHERE = {"attack", "audit"}
"""Those whose examples run in tests of their own, with less effort."""


@pytest.mark.parametrize("name", sorted({*counteract.__all__} - ELSEWHERE))
def test_the_example_of_a_public_name_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_REGISTERED", dict(registry._REGISTERED))
    before = dict(registered.REGISTERED)
    (example,) = doctest.DocTestFinder(recurse=False).find(getattr(counteract, name), name, module=False, globs={})
    assert example.examples
    failed = doctest.DocTestRunner().run(example).failed
    registered.REGISTERED.clear()
    registered.REGISTERED.update(before)
    assert failed == 0
