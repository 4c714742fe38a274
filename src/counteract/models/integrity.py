"""Signs that a file is a whole checkpoint of torch."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from counteract._errors import UserError

_PICKLE, _ZIP = b"\x80", b"PK\x03\x04"
"""The beginnings of the two formats that `torch.save` has had."""


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


def _check_zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except zipfile.BadZipFile as error:
        raise UserError("it is cut short or damaged") from error
    if damaged is not None:
        raise UserError(f"it is damaged: {damaged} has a wrong checksum")
