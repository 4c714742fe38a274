"""Checkpoints: written whole or not at all, the one before kept, and refused where they do not fit the run.

There is no generator state in them: every draw is a function of (seed, epoch, example), see `data`.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from counteract._errors import UserError
from counteract._files import write_atomically
from counteract.models.checkpoints import read_checkpoint

CURRENT, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Writes a checkpoint into `folder`; the last one becomes the previous one once the new one is safe.

    Raises:
        UserError: (a ValueError) it cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    fresh = folder / "checkpoint.next.pt"
    write_atomically(fresh, buffer.getvalue())
    current = folder / CURRENT
    if current.exists():
        current.replace(folder / PREVIOUS)
    fresh.replace(current)


def load_checkpoint(folder: Path, identity: dict[str, Any]) -> dict[str, Any]:
    """Reads the newest checkpoint of `folder`, for a run that must be the same in everything `identity` names.

    Raises:
        UserError: (a ValueError) there is none, it is damaged, or it belongs to another run.
    """
    found = [folder / name for name in (CURRENT, PREVIOUS) if (folder / name).is_file()]
    if not found:
        raise UserError(f"--resume: there is no checkpoint in {folder}; leave --resume out to begin there")
    path = found[0]
    try:
        state: dict[str, Any] = read_checkpoint(path)
        theirs = state["identity"]
    except (UserError, LookupError, TypeError) as error:
        rest = (
            f"delete it to resume from {found[1]}, one epoch earlier" if found[1:] else "begin again without --resume"
        )
        raise UserError(f"--resume: {path} is damaged ({type(error).__name__}); {rest}") from error
    for name in {**theirs, **identity}:
        known, ours = theirs.get(name), identity.get(name)
        if known != ours:
            there, here = _differing(known, ours)
            raise UserError(
                f"--resume: {path} was made with {name} {there}, this run has {here}: say the same again, or begin in "
                "another folder"
            )
    return state


def _differing(known: object, ours: object) -> tuple[str, str]:
    """Returns two things that differ in words, of two tables the entries that differ."""
    if isinstance(known, dict) and isinstance(ours, dict):
        names = [name for name in {**known, **ours} if known.get(name) != ours.get(name)]
        known, ours = ({name: each.get(name) for name in names} for each in (known, ours))
    return repr(known), repr(ours)
