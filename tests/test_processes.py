"""The processes of a run, as a launcher's environment tells them."""

from __future__ import annotations

import pytest

from counteract._processes import is_first, launched


def test_alone_nobody_launched_us_and_we_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.delenv("RANK", raising=False)
    assert launched() is None
    assert is_first()
    monkeypatch.setenv("RANK", "3")  # which clusters set for whatever they start
    assert is_first()


def test_a_launcher_says_how_many_processes_and_machines_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    for world, machines in (("4", 1), ("12", 3)):
        monkeypatch.setenv("WORLD_SIZE", world)
        assert launched() == (4, machines)


def test_only_the_first_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TORCHELASTIC_RUN_ID", "a"), ("LOCAL_WORLD_SIZE", "4"), ("WORLD_SIZE", "12")):
        monkeypatch.setenv(name, value)
    for rank, first in (("0", True), ("1", False), ("10", False)):
        monkeypatch.setenv("RANK", rank)
        assert is_first() is first
