"""Downloads of weight files: to a temporary file, checked, then renamed; a reader never sees half of one."""

from __future__ import annotations

import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.progress import wrap_file

from counteract._errors import UserError
from counteract._files import temporary_beside
from counteract.models.integrity import check_whole, html_title

TIMEOUT = 60.0
"""Seconds without a byte after which a download counts as stalled."""

_CHUNK = 1 << 20


def download(url: str, path: Path) -> None:
    """Downloads a checkpoint to `path`, which appears whole or not at all.

    Args:
        url: The address; a Google Drive page that asks for a confirmation is answered once.
        path: The file to write; missing folders are made.

    Raises:
        UserError: (a ValueError) it failed, stalled, stopped early, or what came is no checkpoint; the message says
            which file to put where by hand.
    """
    temporary = temporary_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, temporary, path.name)
        if page := html_title(temporary):
            _fetch(_confirmed(temporary, page), temporary, path.name)
        check_whole(temporary)
        temporary.replace(path)
    except (OSError, HTTPException, ValueError) as error:  # urllib's errors and timeouts are OSErrors
        raise UserError(
            f"{path.name} could not be downloaded ({error or type(error).__name__}); "
            f"download {url} yourself and save it as {path}"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _fetch(url: str, path: Path, name: str) -> None:
    """Writes what a URL serves to a file; a connection that ends before the announced length is an OSError."""
    request = urllib.request.Request(url, headers={"User-Agent": "Mozilla/5.0"})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response, path.open("wb") as file:
        announced = response.headers.get("Content-Length")
        total = int(announced) if announced else None
        written = _copy(response, file, total, f"downloading {name}")
    if total is not None and written != total:
        raise OSError(f"the connection ended after {written} of {total} bytes")


def _copy(source: BinaryIO, target: BinaryIO, total: int | None, description: str) -> int:
    """Copies a stream under a progress bar on stderr; returns the number of bytes."""
    written = 0
    console = Console(stderr=True, emoji=False)
    with wrap_file(
        source, total or 0, description=description, console=console, transient=True, disable=not console.is_terminal
    ) as watched:
        while chunk := watched.read(_CHUNK):
            written += target.write(chunk)
    return written


def _confirmed(page: Path, title: str) -> str:
    """The address behind Google Drive's page that asks whether a large file, unscanned for viruses, is wanted."""
    from gdown.download import get_url_from_gdrive_confirmation
    from gdown.exceptions import FileURLRetrievalError

    try:
        address: str = get_url_from_gdrive_confirmation(page.read_text(encoding="utf-8", errors="replace"))
    except FileURLRetrievalError as error:
        raise OSError(f"the server sent {title}, not a checkpoint") from error
    return address
