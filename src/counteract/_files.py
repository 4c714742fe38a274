"""Writing files such that a reader sees the old one or the new one, never a part."""

from __future__ import annotations

import os
from pathlib import Path

from counteract._errors import UserError


def write_atomically(path: Path, content: bytes) -> None:
    """Writes to a temporary file beside `path`, flushes it to disk, and renames it.

    Raises:
        UserError: (a ValueError) it cannot be written, on a full disk for one; what was there before is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UserError(
            f"{path} could not be written ({error.strerror}); what was there before is untouched"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
