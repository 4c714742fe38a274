"""Datasets in .npz files: good, odd and damaged ones, and pixels that stay in the file."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.lib import format as npy

from counteract._errors import UserError
from counteract.datasets import ArrayDataset, Dataset, load_dataset
from counteract.datasets.npz import _MappedDataset

SAVERS = [np.savez, np.savez_compressed]


def arrays(n: int = 4) -> dict[str, Any]:
    images = np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3)).astype(np.uint8)
    return {"images": images, "labels": np.arange(n) % 2, "class_names": np.array(["cat", "dog"])}


def test_npz_round_trip(tmp_path: Path) -> None:
    content = arrays()
    np.savez(tmp_path / "mine.npz", **content)
    data = load_dataset(str(tmp_path / "mine.npz"))
    assert (data.name, data.class_names, data.num_classes) == ("mine", ("cat", "dog"), 2)
    assert torch.equal((data.images * 255).round().byte().permute(0, 2, 3, 1), torch.from_numpy(content["images"]))
    assert data.labels.tolist() == [0, 1, 0, 1]
    assert len(data.take(3)) == 3
    assert len(data.take(None)) == 4


def load(folder: Path, save: Any = np.savez, **changes: Any) -> Dataset:
    save(folder / "mine.npz", **(arrays() | changes))
    return load_dataset(str(folder / "mine.npz"))


def test_pixels_that_are_stored_as_they_are_stay_in_the_file(tmp_path: Path) -> None:
    assert isinstance(load(tmp_path), _MappedDataset)
    assert isinstance(load(tmp_path, np.savez_compressed), ArrayDataset)


def test_storage_makes_no_difference(tmp_path: Path) -> None:
    content = arrays(40)
    memory = ArrayDataset("mine", content["images"], content["labels"], ["cat", "dog"])
    rows = torch.tensor([39, 0, 7, 7, 12])
    fortran = np.asfortranarray(content["images"])
    for save, images in [(save, images) for save in SAVERS for images in (content["images"], fortran)]:
        found = load(tmp_path, save, **content | {"images": images})
        assert found.image_shape == (3, 32, 32)
        assert torch.equal(found.read(rows), memory.read(rows))
        assert torch.equal(found.images, memory.images)
        assert found.digest(3, 20) == memory.digest(3, 20)
        assert torch.equal(pickle.loads(pickle.dumps(found)).images, memory.images)
        assert torch.equal(found.take(9).read(rows[1:4]), memory.read(rows[1:4]))


def test_no_images_at_all(tmp_path: Path) -> None:
    for save in SAVERS:
        found = load(tmp_path, save, images=np.zeros((0, 8, 8, 3), np.uint8), labels=np.zeros(0, int))
        assert found.images.shape == (0, 3, 8, 8)


READER = """
import sys
import torch
from counteract.datasets import load_dataset
data = load_dataset(sys.argv[1])
data.read(torch.arange(256))
def peak():  # not getrusage's, which counts the process that started this one
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024
before, total = peak(), 0.0
for start in range(0, len(data), 256):
    rows = torch.arange(start, min(start + 256, len(data)))
    total += float(data.read(rows).sum()) + int(data.digest(start, start + 256)[:4], 16)
print(before, peak())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's account of memory")
def test_memory_does_not_grow_with_the_images_that_are_read(tmp_path: Path) -> None:
    count = 66_000  # 203 MB
    np.savez(
        tmp_path / "large.npz",
        images=np.resize(arrays(100)["images"], (count, 32, 32, 3)),
        labels=np.arange(count) % 2,
        class_names=np.array(["cat", "dog"]),
    )
    done = subprocess.run(
        [sys.executable, "-c", READER, str(tmp_path / "large.npz")], capture_output=True, text=True, check=True
    )
    before, after = map(float, done.stdout.split())
    assert after - before < 20, "MiB"


def test_a_file_that_changes_while_it_is_in_use(tmp_path: Path) -> None:
    data = load(tmp_path)
    load(tmp_path, images=255 - arrays()["images"])
    with pytest.raises(UserError, match=r"mine\.npz was changed while it was in use"):
        data.read(torch.arange(2))
    (tmp_path / "mine.npz").unlink()
    with pytest.raises(UserError, match=r"mine\.npz cannot be read any more"):
        data.read(torch.arange(2))


def test_a_relative_path_outlives_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "mine.npz", **arrays())
    monkeypatch.chdir(tmp_path)
    data = load_dataset("mine.npz")
    monkeypatch.chdir("/")
    assert len(data.images) == 4


@pytest.mark.parametrize("save", SAVERS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": None}, "lacks images"),
        ({"images": np.zeros((4, 32, 32, 3))}, "must be uint8"),
        ({"images": np.zeros((4, 3, 32, 32), np.uint8)}, "N x H x W x 3"),
        ({"labels": np.zeros(3, int)}, "must be 4 integers"),
        ({"labels": np.full(4, 2)}, "from 2 to 2 for 2 class_names"),
        ({"class_names": np.array(["a", None], object)}, "pickled"),
        ({"class_names": np.array("cat")}, r"class_names must be a list of names, found <U3, \(\)"),
    ],
)
def test_malformed_npz(tmp_path: Path, save: Any, change: dict[str, Any], message: str) -> None:
    content = {key: value for key, value in (arrays() | change).items() if value is not None}
    save(tmp_path / "bad.npz", **content)
    with pytest.raises(ValueError, match=message):
        load_dataset(str(tmp_path / "bad.npz"))


def test_damaged_and_missing_npz(tmp_path: Path) -> None:
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(ValueError, match="not a readable"):
        load_dataset(str(tmp_path / "torn.npz"))
    with pytest.raises(ValueError, match="is not a file"):
        load_dataset(str(tmp_path / "none.npz"))


@pytest.mark.parametrize("save", SAVERS)
def test_damage_is_one_line_or_harms_nothing(tmp_path: Path, save: Any) -> None:
    """Every byte in turn is damaged in one bit, and the file is cut short at many places."""
    whole = load(tmp_path, save, images=arrays()["images"][:, :4, :4])
    content = (tmp_path / "mine.npz").read_bytes()
    path = tmp_path / "damaged.npz"
    damaged = [content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :] for at in range(len(content))]
    messages = []
    for each in [*damaged, *(content[:at] for at in range(0, len(content), 9))]:
        path.write_bytes(each)
        try:
            found = load_dataset(str(path))
        except UserError as error:
            messages.append(str(error))
        else:
            assert (found.digest(0, 4), found.class_names) == (whole.digest(0, 4), whole.class_names)
    assert len(messages) > 0.8 * len(content)
    assert not any("\n" in message for message in messages)


def test_a_flipped_pixel_is_found_in_a_large_file_too(tmp_path: Path) -> None:
    """Small ones are read whole with the array's header."""
    for save in SAVERS:
        load(tmp_path, save, **arrays(60))
        content = bytearray((tmp_path / "mine.npz").read_bytes())
        content[100_000] ^= 1
        (tmp_path / "mine.npz").write_bytes(content)
        with pytest.raises(UserError, match=r"mine\.npz is not a readable \.npz file"):
            load_dataset(str(tmp_path / "mine.npz"))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("claimed", [3, 5, 10**15])
def test_a_header_that_claims_another_size(tmp_path: Path, method: int, claimed: int) -> None:
    content, header = arrays(), io.BytesIO()
    shape = (claimed, 32, 32, 3)
    npy.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(tmp_path / "odd.npz", "w", method) as archive:
        archive.writestr("images.npy", header.getvalue() + content["images"].tobytes())
        for name in ("labels", "class_names"):
            member = io.BytesIO()
            np.save(member, content[name])
            archive.writestr(f"{name}.npy", member.getvalue())
    with pytest.raises(UserError, match=r"odd\.npz .* take 12288 bytes"):
        load_dataset(str(tmp_path / "odd.npz"))
