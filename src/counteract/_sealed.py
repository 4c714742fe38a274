"""JSON files that carry a checksum of themselves, so that damage is noticed and never believed."""

from __future__ import annotations

import json
import zlib
from typing import Any

_SUM = "sum"


def seal(content: dict[str, Any], indent: int | None = None) -> bytes:
    """Returns the JSON text of an object with its checksum under the key `sum`, ending in a newline."""
    return (json.dumps(content | {_SUM: _checksum(content)}, indent=indent) + "\n").encode()


def unseal(text: bytes) -> dict[str, Any]:
    """Returns the object that `seal` wrote, without its checksum.

    Raises:
        ValueError: the text is no JSON object, or the checksum is missing or another one.
    """
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested without end") from error
    if not isinstance(content, dict) or content.pop(_SUM, None) != _checksum(content):
        raise ValueError("the checksum does not fit")
    return content


def _checksum(content: dict[str, Any]) -> str:
    """Returns the CRC-32 of an object's canonical text: eight hexadecimal digits."""
    return f"{zlib.crc32(json.dumps(content, sort_keys=True).encode()):08x}"
