"""Datasets in .npz files that are none."""

from __future__ import annotations

import io
import itertools
import os
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from case import RUN, TRAIN, Case, write
from numpy.lib import format as npy


def arrays(count: int = 8) -> dict[str, Any]:
    """Returns the arrays of a dataset."""
    images = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3)).astype(np.uint8)
    return {"images": images, "labels": np.arange(count) % 10, "class_names": np.array(list("0123456789"))}


def member(array: Any) -> bytes:
    """Returns an array as an .npy file has it."""
    found = io.BytesIO()
    np.save(found, array, allow_pickle=True)
    return found.getvalue()


def members(**changes: bytes | None) -> dict[str, bytes]:
    """Returns the members of a dataset's file, with others in place of some; None leaves one out."""
    found: dict[str, bytes | None] = {name: member(array) for name, array in arrays().items()}
    return {f"{name}.npy": content for name, content in (found | changes).items() if content is not None}


def zipped(path: Path, content: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    """Writes an archive."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def header(shape: object, descr: object = "|u1", fortran: object = False) -> bytes:
    """Returns the header of an .npy file that says anything."""
    text = repr({"descr": descr, "fortran_order": fortran, "shape": shape}).encode()
    return npy.magic(1, 0) + struct.pack("<H", len(text)) + text


def raw_header(text: bytes, version: tuple[int, int] = (1, 0), length: int | None = None) -> bytes:
    """Returns a header of any text."""
    size = len(text) if length is None else length
    return npy.magic(*version) + struct.pack("<H" if version == (1, 0) else "<I", size) + text


def archives() -> Iterator[Case]:
    """Yields datasets in .npz files that are none."""
    whole = arrays()
    saved: dict[str, dict[str, Any]] = {
        "no images": {"images": None}, "no labels": {"labels": None}, "no names": {"class_names": None},
        "float images": {"images": whole["images"] / 255}, "NaN images": {"images": whole["images"] * np.nan},
        "channels first": {"images": whole["images"].transpose(0, 3, 1, 2)},
        "grey": {"images": whole["images"][..., :1]}, "one image": {"images": whole["images"][0]},
        "no pixels": {"images": whole["images"][:, :0]}, "no columns": {"images": whole["images"][:, :, :0]},
        "int images": {"images": whole["images"].astype(int)}, "bool images": {"images": whole["images"] > 9},
        "too few labels": {"labels": np.arange(3)}, "float labels": {"labels": np.arange(8.0)},
        "NaN labels": {"labels": np.full(8, np.nan)}, "labels beyond": {"labels": np.full(8, 10)},
        "labels below": {"labels": np.full(8, -1)}, "huge labels": {"labels": np.full(8, 2**64 - 1, np.uint64)},
        "one-hot labels": {"labels": np.eye(8, 10)}, "text labels": {"labels": np.array(list("01234567"))},
        "bool labels": {"labels": np.ones(8, bool)}, "dates": {"labels": np.arange(8).astype("datetime64[s]")},
        "void": {"labels": np.zeros(8, "V8")}, "structured": {"labels": np.zeros(8, "i4,i4")},
        "object labels": {"labels": np.array([0] * 8, object)},
        "object names": {"class_names": np.array(["a", None], object)}, "one name": {"class_names": np.array("cat")},
        "no name": {"class_names": np.array([], "U1")}, "float names": {"class_names": np.arange(10.0)},
        "names that are no text": {"class_names": np.array(["\ud800"] * 10)},
        "pairs": {"class_names": np.array([["a", "b"]])}, "names of bytes": {"class_names": np.array([b"\xff"] * 10)},
        "object images": {"images": np.array([None] * 8, object)},
    }  # fmt: skip
    for save, (name, changes) in itertools.product((np.savez, np.savez_compressed), saved.items()):

        def make(folder: Path, save: Any = save, changes: dict[str, Any] = changes) -> None:
            save(folder / "bad.npz", **{key: value for key, value in (whole | changes).items() if value is not None})

        yield Case("npz", f"{name} {save.__name__}", [*RUN, "--model", "own:works", "--dataset", "bad.npz"], make)
    for name, writer in {**_odd_archives(), **_odd_headers()}.items():

        def make_odd(folder: Path, writer: Callable[[Path], None] = writer) -> None:
            writer(folder / "bad.npz")

        yield Case("npz", name, [*RUN, "--model", "own:works", "--dataset", "bad.npz"], make_odd)
    yield Case(
        "npz", "training", [*TRAIN, "--dataset", "bad.npz", "--test", "good.npz"], lambda f: write(f / "bad.npz", b"PK")
    )
    pooled = [*RUN, "--defence", "mixup-inference", "--pool", "bad.npz"]
    yield Case("npz", "a pool", pooled, lambda f: zipped(f / "bad.npz", members(images=b"x")))


def _odd_archives() -> dict[str, Callable[[Path], None]]:
    """Returns functions that write files which are odd as archives."""

    def cut(path: Path, share: float) -> None:
        zipped(path, members())
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    def patched(path: Path, **fields: int) -> None:
        zipped(path, members())
        content = bytearray(path.read_bytes())
        for at in _positions(content, b"PK\x01\x02"):
            for name, value in fields.items():
                offset, kind = {"flags": (8, "<H"), "method": (10, "<H"), "packed": (20, "<I"), "size": (24, "<I"),
                                "offset": (42, "<I"), "crc": (16, "<I")}[name]  # fmt: skip
                struct.pack_into(kind, content, at + offset, value)
        for at in _positions(content, b"PK\x03\x04"):
            if "flags" in fields:
                struct.pack_into("<H", content, at + 6, fields["flags"])
            if "method" in fields:
                struct.pack_into("<H", content, at + 8, fields["method"])
        path.write_bytes(content)

    def doubled(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile's own, of a name that is there already
            for name, data in [*members().items(), *members().items()]:
                archive.writestr(name, data)

    def bomb(path: Path, size: int, method: int) -> None:
        head = header((size // 3072, 32, 32, 3))
        with zipfile.ZipFile(path, "w", method, compresslevel=9) as archive:
            for name, data in members(images=None).items():
                archive.writestr(name, data)
            with archive.open("images.npy", "w", force_zip64=True) as file:
                file.write(head)
                for _ in range(size // 2**24):
                    file.write(bytes(2**24))

    return {
        "nothing": lambda path: write(path, b""), "one byte": lambda path: write(path, b"P"),
        "a web page": lambda path: write(path, b"<html>"), "an empty archive": lambda path: zipped(path, {}),
        "no archive": lambda path: write(path, os.urandom(4096)),
        "an .npy": lambda path: write(path, member(np.ones(3))), "half": lambda path: cut(path, 0.5),
        "all but the end": lambda path: cut(path, 0.99), "a tenth": lambda path: cut(path, 0.1),
        "odd members": lambda path: zipped(path, {"a": b"b", "../../x": b"y", "images": b"z"}),
        "members without .npy": lambda path: zipped(path, {k.removesuffix(".npy"): v for k, v in members().items()}),
        "in a folder": lambda path: zipped(path, {f"x/{k}": v for k, v in members().items()}), "twice": doubled,
        "encrypted": lambda path: patched(path, flags=1), "strongly encrypted": lambda path: patched(path, flags=65),
        "a method that nobody knows": lambda path: patched(path, method=77),
        "AES": lambda path: patched(path, flags=1, method=99), "a wrong method": lambda path: patched(path, method=8),
        "packed as zstandard": lambda path: patched(path, method=93),
        "a claimed size": lambda path: patched(path, size=2**31),
        "a wrong place": lambda path: patched(path, offset=2**31),
        "a wrong checksum": lambda path: patched(path, crc=1),
        "packed to nothing": lambda path: patched(path, packed=0), "a folder": lambda path: path.mkdir(),
        "a pipe": lambda path: os.mkfifo(path), "a dangling link": lambda path: path.symlink_to("nowhere"),
        "a link to itself": lambda path: path.symlink_to(path.name),
        "a device": lambda path: path.symlink_to("/dev/zero"),
        "a bomb": lambda path: bomb(path, 2**33, zipfile.ZIP_BZIP2),
        "texts": lambda path: zipped(path, members(images=b"images", labels=b"labels")),
        "a pickle": lambda path: zipped(path, members(images=pickle.dumps([1]))),
    }  # fmt: skip


def _positions(content: bytes | bytearray, what: bytes) -> Iterator[int]:
    at = content.find(what)
    while at >= 0:
        yield at
        at = content.find(what, at + 1)


def _odd_headers() -> dict[str, Callable[[Path], None]]:
    """Returns functions that write archives whose arrays have odd headers."""
    pixels = arrays()["images"].tobytes()
    heads = {
        "a huge header": raw_header(b" " * 60_000),
        "a header of two gigabytes": raw_header(b"{" * 1000, (2, 0), 2**31),
        "a header without end": raw_header(b"{'descr'", length=9000), "another version": raw_header(b"{}", (9, 9)),
        "version 3": raw_header(b"\xff\xfe", (3, 0)), "an empty header": raw_header(b""),
        "a number": raw_header(b"3"), "a deep header": raw_header(b"[" * 9000),
        "a deep number": raw_header(b"-" * 9000 + b"1"), "code": raw_header(b"__import__('os')"),
        "a long number": raw_header(b"9" * 9000), "other keys": raw_header(b"{'a': 1}"),
        "no shape": raw_header(b"{'descr': '|u1'}"), "a shape of texts": header(("a",)),
        "a shape that is none": header(8), "a negative shape": header((-8, 32, 32, 3)),
        "two negative sides": header((8, -32, -32, 3)), "a shape beyond": header((2**62, 32, 32, 3)),
        "a shape of fractions": header((8.0, 32, 32, 3)), "a shape of no end": header((10**400, 32, 32, 3)),
        "a true shape": header((8, 32, 32, True)), "many sides": header((1,) * 100),
        "objects": header((8, 32, 32, 3), "|O"), "a type that is none": header((8, 32, 32, 3), "x9"),
        "no type": header((8, 32, 32, 3), None), "a type of a type": header((8, 32, 32, 3), [("a", [("b", "|u1")])]),
        "an order that is none": header((8, 32, 32, 3), fortran=2), "a wide type": header((8,), "|V9999999999"),
        "a type with objects": header((8,), [("a", "|O")]),
    }  # fmt: skip
    found: dict[str, Callable[[Path], None]] = {}
    for name, head in heads.items():
        for of, method in (("images", zipfile.ZIP_STORED), ("labels", zipfile.ZIP_DEFLATED)):

            def write(path: Path, head: bytes = head, of: str = of, method: int = method) -> None:
                zipped(path, members(**{of: head + pixels}), method)

            found[f"{name} ({of})"] = write
    return found
