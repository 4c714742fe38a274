"""Files that are written whole or not at all, and folders with one writer."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from counteract._errors import UserError
from counteract._files import sole_writer, write_atomically


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"old", b"new"):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_on_failure_the_old_file_is_untouched(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(step, full)
    with pytest.raises(UserError, match=r"file could not be written \(No space left .*what was there .* is untouched"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="could not be written"):
        write_atomically(tmp_path / "none" / "file", b"new")


def test_a_folder_has_one_writer_until_it_ends_in_whatever_way(tmp_path: Path) -> None:
    def held() -> None:
        with sole_writer(tmp_path):
            with pytest.raises(UserError, match=r"another run writes to .*: wait until"), sole_writer(tmp_path):
                pass
            raise KeyError

    for _ in range(2):
        with pytest.raises(KeyError):
            held()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()
    with pytest.raises(UserError, match="cannot be written"), sole_writer(tmp_path):
        pass
