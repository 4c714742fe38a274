"""`counteract cache`: what an evaluation kept is shown and cleared."""

from __future__ import annotations

from pathlib import Path

import pytest

from counteract.cli import main


def call(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return int(stopped.value.code or 0)


def test_the_cache_is_shown_and_cleared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--cache", str(tmp_path)]
    attacks = ["--attack", "pgd2", "--attack", "pgd1"]
    assert call(["evaluate", "--limit", "4", *attacks, "--defence", "undefended", *where]) == 0
    capsys.readouterr()
    assert len(list((tmp_path / "probes").iterdir())) == 1
    assert call(["cache", *where]) == 0
    assert capsys.readouterr().out.endswith("2 files, 0.1 MiB\n")
    assert call(["cache", "--clear", *where]) == 0
    assert "0.1 MiB freed" in capsys.readouterr().out
    assert list((tmp_path / "probes").iterdir()) == []
    assert call(["cache", *where]) == 0
    assert "0 files, 0.0 MiB" in capsys.readouterr().out


def test_a_cache_that_is_no_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "link"):
        for clear in ([], ["--clear"]):
            assert call(["cache", "--cache", str(tmp_path / name), *clear]) == 2
            assert "cannot be made a folder" in capsys.readouterr().err
    assert call(["cache", "--cache", str(tmp_path / "none")]) == 0
    assert not (tmp_path / "none").exists()
