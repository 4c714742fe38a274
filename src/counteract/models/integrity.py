"""Signs that a file is a whole checkpoint of torch, and that reading it ends."""

from __future__ import annotations

import lzma
import pickletools
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO

from counteract._errors import UserError

_PICKLE, _ZIP = b"\x80", b"PK\x03\x04"
"""The beginnings of the two formats that `torch.save` has had."""

_PACKED = 10
"""The number of times that a file may grow when it is unpacked; torch packs nothing."""

_PICKLES = 5
"""The pickles at the beginning of a checkpoint of the older format; what follows are bytes."""

_STEPS = 5_000_000
"""The number of a pickle's instructions that are followed: a few seconds' work."""


def check_whole(path: Path) -> None:
    """Raises UserError unless a file looks like a whole checkpoint: neither a web page, nor cut short, nor damaged."""
    if page := html_title(path):
        raise UserError(f"it is {page}, not a checkpoint")
    with path.open("rb") as file:
        start = file.read(4)
    if start == _ZIP:
        _check_zip(path)
    elif not start.startswith(_PICKLE):
        raise UserError(f"it is not a checkpoint of torch: it begins with {start!r}")


def html_title(path: Path) -> str | None:
    """Returns words for the web page in a file, `a web page (its title)`; None if the file is no web page."""
    with path.open("rb") as file:
        start = file.read(4096).decode("utf-8", errors="replace").lstrip()
    if not start.casefold().startswith(("<!doctype html", "<html", "<head", "<script")):
        return None
    title = re.search(r"<title>\s*(.*?)\s*</title>", start, re.IGNORECASE | re.DOTALL)
    return f"a web page ({title[1] if title else 'without a title'})"


def check_pickles(path: Path) -> None:
    """Raises UserError for a checkpoint whose pickle makes far more than the file holds.

    Such a one would fill the memory, or would not end: twenty pairs of pairs of pairs are a million things to look at.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    if name.endswith("data.pkl"):
                        with archive.open(name) as file:
                            _follow(file, archive.getinfo(name).file_size)
            return
        with path.open("rb") as file:
            for _ in range(_PICKLES):
                if not file.peek(1):
                    return
                _follow(file, path.stat().st_size)
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"it is damaged: {error}") from error


def _follow(file: IO[bytes], size: int) -> None:
    """Follows the instructions of one pickle, and counts what tuples and calls hold, each with all that is in it.

    Raises:
        UserError: (a ValueError) that is too much.
        ValueError: the pickle is damaged.
    """
    stack: list[int | None] = []  # the sizes of things; None is a mark
    memo: dict[object, int] = {}
    made = 0
    for step, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        found = len(argument) if isinstance(argument, (str, bytes)) else 1
        if "GET" in opcode.name:
            found = memo.get(argument, 1)
        elif "PUT" in opcode.name and stack:
            memo[argument] = stack[-1] or 1
            continue
        for kind in reversed(opcode.stack_before):
            if kind is not pickletools.stackslice:  # what is above a mark goes with the mark
                found += _pop(stack, marked=kind is pickletools.markobject)
        stack += [None if kind is pickletools.markobject else found for kind in opcode.stack_after]
        if opcode.name.startswith("TUPLE") or opcode.name in ("REDUCE", "NEWOBJ"):
            made += found
        if step > _STEPS or made > _PACKED * size + _STEPS:
            raise UserError("its pickle makes far more than the file holds")


def _pop(stack: list[int | None], *, marked: bool) -> int:
    """Takes a thing off a stack, or all down to the last mark; returns their size."""
    if not marked:
        return (stack.pop() if stack else 0) or 0
    size = 0
    while stack and (top := stack.pop()) is not None:
        size += top
    return size


def _check_zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > _PACKED * path.stat().st_size:
                raise UserError("it is no checkpoint of torch: it is packed, and grows too much")
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error) as error:
        raise UserError("it is cut short or damaged") from error
    if damaged is not None:
        raise UserError(f"it is damaged: {damaged} has a wrong checksum")
