"""The cache of adversarial examples: what is stored comes back, and what was damaged does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from counteract.evaluation.cache import ExampleCache, Made

KEY = "ab" * 16


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def cache(tmp_path: Path, warnings: list[str]) -> ExampleCache:
    return ExampleCache(tmp_path / "cache", warnings.append)


def test_what_is_stored_comes_back_bit_for_bit(cache: ExampleCache, warnings: list[str]) -> None:
    assert cache.load(KEY) is None
    images = torch.rand(5, 3, 4, 4).to(memory_format=torch.channels_last)
    cache.store(KEY, Made(images, 12.5, "it warns\nand warns"))
    found = cache.load(KEY)
    assert found is not None
    assert torch.equal(found.images, images)
    assert (found.passes, found.said) == (12.5, "it warns\nand warns")
    assert cache.load("cd" * 16) is None
    assert warnings == []


def test_damage_is_noticed(cache: ExampleCache, warnings: list[str]) -> None:
    cache.store(KEY, Made(torch.rand(5, 3, 4, 4), 1.0, "odd"))
    (path,) = cache.files()
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + b"\x00" + whole[-8:])  # a byte of a pixel
    assert cache.load(KEY) is None
    path.write_bytes(whole[:40])  # cut short
    assert cache.load(KEY) is None
    path.write_bytes(whole.replace(b'"odd"', b'"old"'))  # a letter of what was said
    assert cache.load(KEY) is None
    save_file({"images": torch.rand(5, 3, 4, 4)}, path)  # without a checksum
    assert cache.load(KEY) is None
    save_file({"pictures": torch.rand(5, 3, 4, 4)}, path)
    assert cache.load(KEY) is None
    assert len(warnings) == 5
    assert all(str(path) in warning and "made again" in warning for warning in warnings)
    cache.store(KEY, Made(torch.ones(1), 0.0))
    assert cache.load(KEY) is not None


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path, warnings: list[str]) -> None:
    (tmp_path / "file").write_text("")
    cache = ExampleCache(tmp_path / "file" / "cache", warnings.append)
    cache.store(KEY, Made(torch.ones(1), 0.0))
    assert len(warnings) == 1
    assert warnings[0].startswith("examples could not be cached")
    cache.store(KEY, Made(torch.ones(1), 0.0))
    assert len(warnings) == 1


def test_without_a_folder_nothing_is_remembered(warnings: list[str]) -> None:
    cache = ExampleCache(None, warnings.append)
    cache.store(KEY, Made(torch.ones(1), 0.0))
    assert cache.load(KEY) is None
    assert (cache.files(), cache.clear(), warnings) == ([], 0, [])


def test_clearing_leaves_other_files_alone(cache: ExampleCache, tmp_path: Path) -> None:
    cache.store(KEY, Made(torch.ones(1000), 0.0))
    cache.store("cd" * 16, Made(torch.ones(1000), 0.0))
    (tmp_path / "cache" / "mine.txt").write_text("mine")
    assert cache.clear() > 8000
    assert cache.files() == []
    assert (tmp_path / "cache" / "mine.txt").exists()


def test_other_files_in_the_folder_are_no_entries(tmp_path: Path) -> None:
    cache = ExampleCache(tmp_path, warn=pytest.fail)
    key = "0123456789abcdef" * 2
    cache.store(key, Made(torch.zeros(1, 3, 2, 2), 1.0))
    (tmp_path / "m1").mkdir()
    for other in ("m1/model.safetensors", f"m1/{key}.safetensors"):
        (tmp_path / other).write_bytes(b"weights")
    assert [path.stem for path in cache.files()] == [key]
    cache.clear()
    assert sorted(path.name for path in tmp_path.glob("*/*")) == [f"{key}.safetensors", "model.safetensors"]
