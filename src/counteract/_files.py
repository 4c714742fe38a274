"""Writing files such that a reader sees the old one or the new one, never a part; and folders with one writer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

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


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Holds a folder for this process; the system lets go of it when the process ends, in whatever way.

    Raises:
        UserError: (a ValueError) another process has it, or the folder cannot be written.
    """
    lock = FileLock(folder / ".lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(f"another run writes to {folder}: wait until it has ended, or name another folder") from None
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror})") from error
    try:
        yield
    finally:
        lock.release()
