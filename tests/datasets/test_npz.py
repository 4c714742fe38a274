"""Datasets in .npz files: good, odd and damaged ones, and pixels that stay in the file."""

from __future__ import annotations

import io
import pickle
import struct
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.lib import format as npy

from counteract._errors import UserError
from counteract.datasets import ArrayDataset, Dataset, load_dataset, npz
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
def peak():  # not getrusage's, which counts the process that started this one
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024
before, total = 0.0, 0.0
for start in range(0, len(data), 256):
    if start < len(data) / 4:  # until then the allocator settles
        before = peak()
    rows = torch.arange(start, min(start + 256, len(data)))
    total += float(data.read(rows).sum()) + int(data.digest(start, start + 256)[:4], 16)
print(before, peak())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's account of memory")
def test_memory_does_not_grow_with_the_images_that_are_read(tmp_path: Path) -> None:
    count = 66_000  # 203 MB, of which it measures the last 152
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


def pack(path: Path, method: int = zipfile.ZIP_STORED, **changes: bytes) -> None:
    """Writes an .npz file with other members in place of some."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in arrays().items():
            member = io.BytesIO()
            np.save(member, content)
            archive.writestr(f"{name}.npy", changes.get(name, member.getvalue()))


def head(text: bytes, version: tuple[int, int] = (1, 0), length: int | None = None) -> bytes:
    """Returns an array's header of any text."""
    claimed = len(text) if length is None else length
    return npy.magic(*version) + struct.pack("<H" if version == (1, 0) else "<I", claimed) + text


ODD = [
    b"",
    b"images",
    head(b""),
    head(b"3"),
    head(b"{'a': 1}"),
    head(b"[" * 9000),
    head(b"-" * 9000 + b"1"),
    head(b"9" * 9000),
    head(b" " * 60_000),
    head(b"{'descr'", length=9000),
    head(b"{" * 99, (2, 0), 2**31),
    head(b"{}", (9, 9)),
    head(b"\xff", (3, 0)),
    head(b"{'descr': '|O', 'fortran_order': False, 'shape': (8,)}"),
    head(b"{'descr': 'x9', 'fortran_order': False, 'shape': (8,)}"),
    head(b"{'descr': '|V9999999999', 'fortran_order': False, 'shape': (8,)}"),
    head(b"{'descr': '|u1', 'fortran_order': False, 'shape': (-8, -32, 32, 3)}") + bytes(8 * 32 * 32 * 3),
    head(b"{'descr': '|u1', 'fortran_order': False, 'shape': ('a',)}"),
    head(b"__import__('os')._exit(3)"),
]


@pytest.mark.parametrize("content", ODD)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("name", ["images", "labels", "class_names"])
def test_members_that_nobody_wrote_are_one_line(content: bytes, method: int, name: str, tmp_path: Path) -> None:
    pack(tmp_path / "odd.npz", method, **{name: content})
    with pytest.raises(UserError, match=r"^dataset .*odd\.npz "):
        load_dataset(str(tmp_path / "odd.npz"))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_unpacks_without_bounds_is_refused(method: int, tmp_path: Path) -> None:
    pack(tmp_path / "odd.npz", method)
    with pytest.raises(UserError, match=rf"packed as numpy packs nothing \(method {method}\)"):
        load_dataset(str(tmp_path / "odd.npz"))


def test_what_does_not_fit_into_memory_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.npz"
    images = np.zeros((400, 32, 32, 3), np.uint8)
    for save in SAVERS:
        save(path, **arrays() | {"images": images, "labels": np.zeros(400, int)})
        monkeypatch.setattr(npz, "most_memory", lambda: images.nbytes // 2)
        if save is np.savez_compressed:
            assert path.stat().st_size < images.nbytes // 100
            with pytest.raises(
                UserError, match=r"images take 1,228,\d+ bytes in memory, more than half of this machine's"
            ):
                load_dataset(str(path))
        else:
            assert len(load_dataset(str(path))) == 400


def test_a_member_that_is_there_twice_or_encrypted_or_named_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "odd.npz"
    pack(path)
    content = bytearray(path.read_bytes())
    for place in (content.index(b"PK\x03\x04") + 6, content.index(b"PK\x01\x02") + 8):
        content[place] |= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="is encrypted: unpack it first"):
        load_dataset(str(path))
    pack(path)
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("labels.npy", b"")
    with pytest.raises(UserError, match="holds labels twice"):
        load_dataset(str(path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images", b"")
    with pytest.raises(UserError, match="lacks class_names, images, labels; it holds images"):
        load_dataset(str(path))
    with zipfile.ZipFile(path, "w"):
        pass
    with pytest.raises(UserError, match="it holds nothing"):
        load_dataset(str(path))


def test_names_are_texts(tmp_path: Path) -> None:
    assert load(tmp_path, class_names=np.array([b"cat", "Gr\u00f6\u00dfe".encode()])).class_names == (
        "cat",
        "Gr\u00f6\u00dfe",
    )
    for names in (np.array(["\ud800", "a"]), np.array([b"\xff", b"a"]), np.array([1.0, 2.0])):
        with pytest.raises(UserError, match=r"mine\.npz"):
            load(tmp_path, class_names=names)


@pytest.mark.parametrize("name", ["x" * 5000 + ".npz", "a\0b.npz", "/dev/null.npz"])
def test_names_that_no_file_has(name: str) -> None:
    with pytest.raises(UserError, match="is not a file"):
        load_dataset(name)
