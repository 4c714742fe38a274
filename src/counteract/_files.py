"""Files read within bounds, and written such that a reader sees the old one or the new one; folders with one writer."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from counteract._errors import UserError


def is_file(path: Path) -> bool:
    """Returns True for a regular file, or a link to one; a name that no file can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or with a NUL
        return False


def read_file(path: Path, what: str, longest: int) -> bytes:
    """Reads a regular file: a pipe might never end, and a huge one would fill the memory.

    Args:
        path: The file.
        what: The error's word for it.
        longest: The number of bytes of the longest file of this kind.

    Raises:
        UserError: (a ValueError) it cannot be read, or is something else.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise UserError(f"{what} cannot be read: it is no file")
        if found.st_size > longest:
            raise UserError(f"{what} has {found.st_size:,} bytes: at most {longest:,} are read")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{what} cannot be read: {error.strerror}") from error
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{what} cannot be read: {error}") from error


def check_writable(path: Path) -> None:
    """Makes the folder of a file that is to be written later, and tries to write there.

    Raises:
        UserError: (a ValueError) it will not be possible.
    """
    trial = temporary_beside(path)
    try:
        if path.is_dir():
            raise UserError(f"{path} is a folder: name a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        trial.write_bytes(b"?")
        trial.unlink()
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror})") from error


def temporary_beside(path: Path) -> Path:
    """Returns the name of a temporary file beside a file, which no other writer has.

    Machines that share a folder may run processes of one number, as containers do, and threads have that of theirs.
    """
    return path.with_name(f".{secrets.token_hex(8)}.tmp")


def write_atomically(path: Path, content: bytes) -> None:
    """Writes to a temporary file beside `path`, flushes it to disk, and renames it.

    Raises:
        UserError: (a ValueError) it cannot be written, on a full disk for one; what was there before is untouched.
    """
    temporary = temporary_beside(path)
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
    """Holds a folder for this process, made if need be; the system lets go of it when it ends, in whatever way.

    Raises:
        UserError: (a ValueError) another process has it, or the folder cannot be written.
    """
    lock = FileLock(folder / ".lock", blocking=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise UserError(f"another run writes to {folder}: wait until it has ended, or name another folder") from None
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror})") from error
    try:
        yield
    finally:
        lock.release()
