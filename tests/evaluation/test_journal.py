"""The journal: what is written comes back, and what was damaged does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from counteract.evaluation.journal import Entry, Journal, pack, read_entries

CORRECT = torch.tensor([[1, 0, 1], [1, 1, 0]]).bool()


def entry(key: str) -> Entry:
    return Entry(key, n=3, draws=2, correct=pack(CORRECT), executions=1, passes=1, seconds=0.5, undefended_seconds=0.25)


def journal(folder: Path | None) -> Journal:
    opened = Journal(folder)
    opened.open()
    return opened


def test_an_entry_of_several_draws() -> None:
    assert entry("key").shares().tolist() == [1, 0.5, 0.5]


def test_entries_come_back(tmp_path: Path) -> None:
    first = journal(tmp_path)
    for key in "abc":
        first.add(entry(key))
    assert journal(tmp_path).entries == {key: entry(key) for key in "abc"}
    assert read_entries(tmp_path).damaged == 0


def test_a_line_cut_short_is_forgotten_and_written_over(tmp_path: Path) -> None:
    first = journal(tmp_path)
    first.add(entry("a"))
    first.add(entry("b"))
    path = tmp_path / "journal.jsonl"
    whole = path.read_bytes()
    for cut in (1, 20, len(whole) // 2 - 1):
        path.write_bytes(whole[:-cut])
        assert read_entries(tmp_path).damaged == 0
        again = journal(tmp_path)
        assert set(again.entries) - {"b"} == {"a"}
        again.add(entry("c"))
        assert {"a", "c"} <= set(journal(tmp_path).entries)


def test_no_byte_can_change_without_notice(tmp_path: Path) -> None:
    first = journal(tmp_path)
    for key in "abc":
        first.add(entry(key))
    path = tmp_path / "journal.jsonl"
    whole, before = path.read_bytes(), first.entries
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        left = read_entries(tmp_path)
        assert left.found.items() <= before.items()
        assert len(left.found) == 3 or left.damaged or position >= len(whole) - 1, position
    path.write_bytes(whole)
    assert len(read_entries(tmp_path).found) == 3


def test_damaged_lines_are_counted_and_left_out_when_a_run_goes_on(tmp_path: Path) -> None:
    first = journal(tmp_path)
    for key in "abc":
        first.add(entry(key))
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"key": "b"', b'"key": "d"'))
    again = journal(tmp_path)
    assert (set(again.entries), again.damaged) == ({"a", "c"}, 1)
    assert read_entries(tmp_path).damaged == 0


def test_the_files_of_several_processes_become_one(tmp_path: Path) -> None:
    journal(tmp_path).add(entry("a"))
    other = Journal(tmp_path, rank=3)
    other.add(entry("b"))
    assert set(read_entries(tmp_path).found) == {"a", "b"}
    assert set(journal(tmp_path).entries) == {"a", "b"}
    assert [path.name for path in tmp_path.iterdir()] == ["journal.jsonl"]


def test_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one = journal(None)
    one.add(entry("a"))
    assert set(one.entries) == {"a"}
    assert one.added == [entry("a")]
    assert list(tmp_path.iterdir()) == []
