"""Sealed files: what was written comes back, and any damage is noticed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from counteract._sealed import seal, unseal

CONTENT: dict[str, Any] = {"name": "Größe", "rows": [1, 2.5, None, True], "nested": {"b": "x", "a": ""}}


def believed(text: bytes) -> bool:
    try:
        unseal(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("indent", [None, 2])
def test_what_was_sealed_comes_back(indent: int | None) -> None:
    text = seal(CONTENT, indent)
    assert text.endswith(b"}\n")
    assert unseal(text) == CONTENT
    assert "sum" not in CONTENT


def test_any_changed_bit_is_noticed() -> None:
    text = seal(CONTENT | {"name": "size"})  # of ö there are two spellings that mean the same
    for place in range(len(text)):
        for bit in range(8):
            damaged = bytearray(text)
            damaged[place] ^= 1 << bit
            assert not believed(bytes(damaged)), bytes(damaged)


def test_a_part_is_noticed() -> None:
    text = seal(CONTENT).rstrip()
    for end in range(len(text)):
        assert not believed(text[:end]), text[:end]


def test_the_order_of_keys_is_not_the_content() -> None:
    turned = dict(reversed(json.loads(seal(CONTENT)).items()))
    assert unseal(json.dumps(turned).encode()) == CONTENT


@pytest.mark.parametrize("text", [b"[1]", b'{"name": "a"}', b'{"sum": null}'])
def test_what_nobody_sealed_is_not_believed(text: bytes) -> None:
    with pytest.raises(ValueError, match="the checksum does not fit"):
        unseal(text)


def test_what_is_nested_without_end_is_no_file_of_ours() -> None:
    with pytest.raises(ValueError, match="nested without end"):
        unseal(b"[" * 100_000)
