"""Whole checkpoints are told from anything else."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch

from counteract._errors import UserError
from counteract.models.integrity import check_whole


def test_whole_files_pass_and_parts_do_not(tmp_path: Path) -> None:
    for zipped in (True, False):
        content = io.BytesIO()
        torch.save({"weight": torch.ones(1000)}, content, _use_new_zipfile_serialization=zipped)
        (tmp_path / "whole.pt").write_bytes(content.getvalue())
        check_whole(tmp_path / "whole.pt")
    for damaged, words in ((content.getvalue()[1:], "not a checkpoint"), (b"<html><title>Sorry</title>", r"\(Sorry\)")):
        (tmp_path / "part.pt").write_bytes(damaged)
        with pytest.raises(UserError, match=words):
            check_whole(tmp_path / "part.pt")


def test_an_empty_file_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "empty.pt").touch()
    with pytest.raises(UserError, match="not a checkpoint"):
        check_whole(tmp_path / "empty.pt")
