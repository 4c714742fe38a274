"""The processes of a run: one, or those that torchrun or Fabric's launcher started."""

from __future__ import annotations

import os


def launched() -> tuple[int, int] | None:
    """Processes a machine and machines, where a launcher started us; None where nobody did."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    local = int(os.environ["LOCAL_WORLD_SIZE"])
    return local, int(os.environ["WORLD_SIZE"]) // local


def is_first() -> bool:
    """Returns True for the process that speaks for all: one that nobody launched has no others, whatever RANK says."""
    return launched() is None or os.environ["RANK"] == "0"
