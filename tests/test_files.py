"""Files that are read within bounds, written whole or not at all, and folders with one writer."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from counteract._errors import UserError
from counteract._files import check_writable, is_file, read_file, sole_writer, write_atomically


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


def test_two_may_write_one_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, flush = tmp_path / "file", os.fsync

    def meanwhile(file: int) -> None:  # another thread, or a machine's process of this one's number
        monkeypatch.setattr("os.fsync", flush)
        write_atomically(path, b"other")
        check_writable(path)
        assert path.read_bytes() == b"other"
        flush(file)

    monkeypatch.setattr("os.fsync", meanwhile)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
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


def test_files_are_told_from_everything_else(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "itself").symlink_to("itself")
    assert is_file(tmp_path / "file")
    assert is_file(tmp_path / "link")
    others = (".", "none", "dangling", "itself", "x" * 5000, "a\0b", "file/x")
    assert not any(is_file(tmp_path / name) for name in others)


def test_a_file_is_read_within_bounds(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_file(tmp_path / "file", "spec mine", 5) == b"12345"
    with pytest.raises(UserError, match=r"^spec mine has 5 bytes: at most 4 are read$"):
        read_file(tmp_path / "file", "spec mine", 4)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "itself").symlink_to("itself")
    for name, words in {
        "pipe": "it is no file", ".": "it is no file", "none": "No such file", "x" * 5000: "File name too long",
        "a\0b": "null", "itself": "symbolic links",
    }.items():  # fmt: skip
        with pytest.raises(UserError, match=f"^spec mine cannot be read: .*{words}"):
            read_file(tmp_path / name, "spec mine", 100)


def test_it_is_tried_if_a_file_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_writable(tmp_path / "a" / "b.json")
    check_writable(tmp_path / "a" / "b.json")
    assert list((tmp_path / "a").iterdir()) == []
    with pytest.raises(UserError, match="a is a folder: name a file"):
        check_writable(tmp_path / "a")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"b\.json cannot be written \((Not a directory|File exists)\)"):
        check_writable(tmp_path / "file" / "b.json")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=r"b\.json cannot be written \(No space left on device\)"):
        check_writable(tmp_path / "b.json")
