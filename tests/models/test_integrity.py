"""Whole checkpoints are told from anything else."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import torch

from counteract._errors import UserError
from counteract.models.integrity import check_pickles, check_whole


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


def pickled(folder: Path, *parts: bytes) -> Path:
    """A file that holds a pickle of these instructions."""
    path = folder / "made.pt"
    path.write_bytes(b"\x80\x02" + b"".join(parts) + b".")
    return path


PAIRS = b"K\x01K\x02\x86" + b"q\x00h\x00\x86" * 60
"""A pair of the same pair, and so on, sixty times."""


def test_a_pickle_that_makes_far_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    for parts in ((b"}", PAIRS, b"K\x01s"), (PAIRS,), (b"(", PAIRS, b"t")):
        path = pickled(tmp_path, *parts)
        with pytest.raises(UserError, match="its pickle makes far more than the file holds"):
            check_pickles(path)
        with zipfile.ZipFile(tmp_path / "zipped.pt", "w") as archive:
            archive.write(path, "net/data.pkl")
        with pytest.raises(UserError, match="its pickle makes far more than the file holds"):
            check_pickles(tmp_path / "zipped.pt")


def test_what_training_scripts_write_passes(tmp_path: Path) -> None:
    network = torch.nn.Sequential(*(torch.nn.Linear(3, 3) for _ in range(50)))
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    history = [{"epoch": epoch, "loss": 0.5} for epoch in range(20_000)]
    state = {
        "net": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": history,
        "x": list(range(10**5)),
    }
    for zipped in (True, False):
        torch.save(state, tmp_path / "state.pt", _use_new_zipfile_serialization=zipped)
        check_whole(tmp_path / "state.pt")
        check_pickles(tmp_path / "state.pt")


def test_a_damaged_pickle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "damaged.pt"
    for content in (b"\x80\x02X\xff\xff\xff\x7f.", b"\x80\x02\xff.", b"\x80\x02((("):
        path.write_bytes(content)
        with pytest.raises(UserError, match="it is damaged"):
            check_pickles(path)


def test_an_archive_that_grows_too_much_is_none_of_torch(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", bytes(2**20))
    with pytest.raises(UserError, match="grows too much"):
        check_whole(tmp_path / "packed.pt")
