"""Checkpoints are whole or not there, and the one before is kept."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from counteract._errors import UserError
from counteract.training.checkpoint import CURRENT, PREVIOUS, load_checkpoint, save_checkpoint

IDENTITY = {"architecture": "resnet8", "seed": 0}


def state(epoch: int, **identity: Any) -> dict[str, Any]:
    return {"identity": IDENTITY | identity, "epoch": epoch, "weights": torch.full((5000,), float(epoch))}


@contextmanager
def small_disk() -> Iterator[None]:
    """Writing more than 4,000 bytes to a file fails, as it does on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    for epoch in range(3):
        save_checkpoint(tmp_path, state(epoch))
    loaded = load_checkpoint(tmp_path, IDENTITY)
    assert loaded["epoch"] == 2
    assert loaded["weights"].equal(torch.full((5000,), 2.0))
    assert sorted(path.name for path in tmp_path.iterdir()) == [PREVIOUS, CURRENT]


def test_a_full_disk_is_one_line_and_the_last_checkpoint_stays(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, state(1))
    with small_disk(), pytest.raises(UserError, match="could not be written") as caught:
        save_checkpoint(tmp_path, state(2))
    assert "\n" not in str(caught.value)
    assert load_checkpoint(tmp_path, IDENTITY)["epoch"] == 1
    assert [path.name for path in tmp_path.iterdir()] == [CURRENT]


@pytest.mark.parametrize("length", [0, 10, 3000, -1])
def test_a_truncated_checkpoint_is_one_line_and_names_the_one_before(tmp_path: Path, length: int) -> None:
    save_checkpoint(tmp_path, state(1))
    save_checkpoint(tmp_path, state(2))
    damaged = tmp_path / CURRENT
    damaged.write_bytes(damaged.read_bytes()[:length])
    with pytest.raises(UserError, match=f"is damaged .*; delete it to resume from .*{PREVIOUS}") as caught:
        load_checkpoint(tmp_path, IDENTITY)
    assert "\n" not in str(caught.value)
    damaged.unlink()
    assert load_checkpoint(tmp_path, IDENTITY)["epoch"] == 1


@pytest.mark.parametrize("content", [b"hello", b"", b"\x80\x04K\x01."])
def test_something_else_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CURRENT).write_bytes(content)
    with pytest.raises(UserError, match=r"is damaged \(\w+\); begin again without --resume"):
        load_checkpoint(tmp_path, IDENTITY)


def test_a_tensor_in_its_place_is_one_line(tmp_path: Path) -> None:
    torch.save(torch.zeros(3), tmp_path / CURRENT)
    with pytest.raises(UserError, match="is damaged"):
        load_checkpoint(tmp_path, IDENTITY)


def test_another_run_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, state(1, architecture="resnet18"))
    with pytest.raises(UserError, match="was made with architecture 'resnet18', this run has 'resnet8'"):
        load_checkpoint(tmp_path, IDENTITY)


def test_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no checkpoint in"):
        load_checkpoint(tmp_path, IDENTITY)


def test_what_one_run_was_given_and_the_other_not_is_one_line(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, state(1) | {"identity": IDENTITY | {"init": "other.safetensors"}})
    with pytest.raises(UserError, match=r"was made with init 'other\.safetensors', this run has None"):
        load_checkpoint(tmp_path, IDENTITY)
