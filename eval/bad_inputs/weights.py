"""Weights that are none: checkpoints of torch, and .safetensors files with their cards."""

from __future__ import annotations

import functools
import itertools
import json
import os
import pickle
import struct
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from archives import members, zipped
from case import RUN, TRAIN, Case, Make, write
from safetensors.torch import save_file

from counteract.models import Card, save_network


class _Reduced:
    """A thing that unpickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def checkpoints() -> Iterator[Case]:
    """Yields weights that are none."""
    import builtins
    import codecs
    import time

    own = {"head.weight": torch.zeros(10, 3), "head.bias": torch.zeros(10)}
    saved: dict[str, object] = {
        "a list": [1], "a tensor": torch.zeros(3), "None": None, "nothing": {}, "a number": 3, "a text": "x" * 1000,
        "numbers for keys": {0: torch.zeros(3), 1: torch.zeros(3)}, "tuples for keys": {("a", 1): torch.zeros(3)},
        "bytes for keys": {b"head.weight": torch.zeros(3)}, "None for a key": {None: torch.zeros(3)},
        "mixed keys": own | {3: torch.zeros(1)}, "no tensors": {"epoch": 3},
        "deep": {"model": {"model": {"model": {}}}}, "another shape": own | {"head.bias": torch.zeros(7)},
        "one missing": {"head.bias": torch.zeros(10)}, "one too many": own | {"extra": torch.zeros(1)},
        "no tensor": own | {"head.bias": 3}, "a text for a tensor": own | {"head.bias": "x"},
        "complex": own | {"head.bias": torch.zeros(10, dtype=torch.complex64)},
        "a long key": {"x" * 100_000: torch.zeros(1)}, "an odd key": {"\x1b[31m\n": torch.zeros(1)},
        "many keys": {f"layer.{i}": torch.zeros(1) for i in range(2000)},
        "NaN": {name: value * torch.nan for name, value in own.items()},
        "empty tensors": {name: value[:0] for name, value in own.items()}, "a namespace": own | {"args": Path("x")},
        "a network": torch.nn.Linear(3, 10), "code": own | {"x": _Reduced(exec, "raise SystemExit(0)")},
        "sleeps": own | {"x": _Reduced(time.sleep, 1000)}, "allocates": own | {"x": _Reduced(bytearray, 10**12)},
        "allocates some": own | {"x": _Reduced(bytearray, 12 * 2**30)},
        "evaluates": own | {"x": _Reduced(builtins.eval, "1/0")},
        "encodes": own | {"x": _Reduced(codecs.encode, "x", "nothing")},
        "an odd call": own | {"x": _Reduced(torch.Size, 3)},
        "a large tensor": own | {"x": _Reduced(torch.Tensor, 10**13)}, "odd set": own | {"x": _Reduced(set, 3)},
        "odd complex": own | {"x": _Reduced(complex, "x")},
    }  # fmt: skip
    for new, (name, content) in itertools.product((True, False), saved.items()):

        def make(folder: Path, new: bool = new, content: object = content) -> None:
            torch.save(content, folder / "bad.pt", _use_new_zipfile_serialization=new)

        kind = "new" if new else "old"
        yield Case("checkpoints", f"{name} ({kind})", [*RUN, "--model", "own:works", "--weights", "bad.pt"], make)
    trusted: dict[str, object] = {
        "code": own | {"x": _Reduced(exec, "raise SystemExit(0)")}, "an exit": _Reduced(os._exit, 0),
        "prints": _Reduced(print, "hello"), "an error": own | {"x": _Reduced(exec, "raise KeyError('layer')")},
        "a keyboard": own | {"x": _Reduced(exec, "raise KeyboardInterrupt")},
        "no module": own | {"x": _Reduced(exec, "import no_such_module")}, "numbers for keys": {0: torch.zeros(3)},
    }  # fmt: skip
    for name, content in trusted.items():

        def make_trusted(folder: Path, content: object = content) -> None:
            torch.save(content, folder / "bad.pt")

        arguments = [*RUN, "--model", "own:works", "--weights", "bad.pt", "--trust"]
        yield Case("checkpoints", f"{name}, trusted", arguments, make_trusted)
    for name, writer in _odd_checkpoints().items():

        def make_odd(folder: Path, writer: Callable[[Path], None] = writer) -> None:
            writer(folder / "bad.pt")

        yield Case("checkpoints", name, [*RUN, "--model", "own:works", "--weights", "bad.pt"], make_odd)


def _odd_checkpoints() -> dict[str, Callable[[Path], None]]:
    """Returns functions that write files which are no checkpoints."""

    def cut(path: Path, share: float, *, new: bool) -> None:
        torch.save({"head.weight": torch.zeros(10, 3)}, path, _use_new_zipfile_serialization=new)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    def scripted(path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, of a format that goes out of use
            torch.jit.trace(torch.nn.Linear(3, 10), torch.zeros(1, 3)).save(str(path))

    def packed(path: Path) -> None:
        zipped(path, {"x/data.pkl": b"\x80\x02" + b"N0" * 2**22 + b"."}, zipfile.ZIP_DEFLATED)

    pickles = {
        "a pickle": pickle.dumps({"a": 1}, 2), "a new pickle": pickle.dumps({"a": 1}, 5),
        "an old pickle": pickle.dumps({"a": 1}, 0), "no pickle": b"\x80\x02nonsense",
        "a pickle without end": b"\x80\x02" + b"(" * 1000, "a claimed text": b"\x80\x02X\xff\xff\xff\x7f.",
        "pops of nothing": b"\x80\x02\x85\x85\x86R.", "a memo of nothing": b"\x80\x02h\x05.",
        "an odd opcode": b"\x80\x02\xff.", "a stop": b"\x80\x02.", "an id": b"\x80\x02K\x01Q.",
        "a claimed number": b"\x80\x02\x8b\xff\xff\xff\x7f.",
        "pairs of pairs without end": b"\x80\x02}K\x01K\x02\x86" + b"q\x00h\x00\x86" * 60 + b"K\x01s.",
    }  # fmt: skip
    found: dict[str, Callable[[Path], None]] = {
        "nothing": lambda path: write(path, b""),
        "a web page": lambda path: write(path, b"<!DOCTYPE html><title>Sign in</title>"),
        "noise": lambda path: write(path, os.urandom(1000)), "zeros": lambda path: write(path, bytes(1000)),
        "half, new": lambda path: cut(path, 0.5, new=True), "half, old": lambda path: cut(path, 0.5, new=False),
        "most, old": lambda path: cut(path, 0.99, new=False), "most, new": lambda path: cut(path, 0.99, new=True),
        "a script": scripted, "another archive": lambda path: zipped(path, {"word/document.xml": b"<xml>"}),
        "packed": packed, "an .npz": lambda path: zipped(path, members()), "a folder": lambda path: path.mkdir(),
        "a pipe": lambda path: os.mkfifo(path), "a dangling link": lambda path: path.symlink_to("nowhere"),
        "a device": lambda path: path.symlink_to("/dev/zero"),
    }  # fmt: skip
    for name, content in pickles.items():
        found[name] = functools.partial(write, content=content)
        parts = {"x/data.pkl": content, "x/version": b"3\n", "x/byteorder": b"little"}
        found[f"{name}, in an archive"] = functools.partial(zipped, content=parts)
    return found


CARD: dict[str, Any] = {
    "architecture": "resnet8", "width": 2, "class_names": list("0123456789"), "mean": [0.5] * 3, "std": [0.5] * 3,
    "dataset": "digits", "method": "mixup",
}  # fmt: skip


def weight_files() -> Iterator[Case]:
    """Yields .safetensors files that are none, or whose cards are wrong."""
    changes: dict[str, dict[str, Any]] = {
        "no architecture": {"architecture": "vgg"}, "a number for it": {"architecture": 3}, "no width": {"width": 0},
        "a negative width": {"width": -1}, "a fraction of a width": {"width": 2.5}, "a wide one": {"width": 10**9},
        "wider": {"width": 10**18}, "widest": {"width": 10**30}, "another width": {"width": 4},
        "a text for a width": {"width": "wide"}, "NaN wide": {"width": float("nan")},
        "no classes": {"class_names": []}, "classes that are numbers": {"class_names": [1, 2]},
        "fewer classes": {"class_names": ["a"]}, "no list": {"class_names": "abc"},
        "NaN": {"mean": [float("nan")] * 3}, "infinite": {"std": [float("inf")] * 3}, "zero": {"std": [0.0] * 3},
        "negative": {"std": [-1.0] * 3}, "one mean": {"mean": [0.5]}, "many means": {"mean": [0.5] * 9},
        "no means": {"mean": None}, "a huge mean": {"mean": [1e400] * 3}, "no dataset": {"dataset": None},
        "an odd method": {"method": ["mixup"]}, "more": {"more": 1}, "an odd recipe": {"recipe": 3},
        "odd accuracy": {"accuracy": {"clean": "high"}}, "odd conditions": {"conditions": [1]},
    }  # fmt: skip
    for name, change in changes.items():
        yield _card_case(name, json.dumps(CARD | change))
    for name, text in {
        "nothing": "", "no JSON": "{", "a list": "[]", "deep": "[" * 100_000, "a number": "9" * 5000, "null": "null",
        "twice": '{"width": 1, "width": 2}', "noise": "\x00\x01", "surrogates": '"\\ud800"',
    }.items():  # fmt: skip
        yield _card_case(f"a card of {name}", text)
    whole = _saved_network()
    files = {
        "nothing": b"", "a byte": b"x", "noise": os.urandom(1000), "half": whole[: len(whole) // 2],
        "all but one": whole[:-1], "one too many": whole + b"x",
        "a huge header": struct.pack("<Q", 2**62) + whole[8:], "a negative header": b"\xff" * 8 + whole[8:],
        "no header": struct.pack("<Q", 0), "a header of spaces": struct.pack("<Q", 1000) + b" " * 1000,
        "a pickle": pickle.dumps({"a": 1}), "a list": struct.pack("<Q", 2) + b"[]",
        "a deep header": struct.pack("<Q", 10**5) + b"[" * 10**5, "another layout": _layout(dtype="F9"),
        "a long tensor": _layout(shape=[10**18]), "negative offsets": _layout(data_offsets=[8, 0]),
        "beyond": _layout(data_offsets=[0, 10**9]), "an odd shape": _layout(shape=[-1]),
        "a shape of texts": _layout(shape=["a"]), "a type of tomorrow": _layout(dtype="F4", shape=[16]),
        "a web page": b"<!DOCTYPE html>", "a header that is cut": struct.pack("<Q", 500) + b"{",
    }  # fmt: skip
    for name, content in files.items():

        def make(folder: Path, content: bytes = content) -> None:
            (folder / "bad.safetensors").write_bytes(content)

        yield Case("safetensors", name, [*RUN, "--model", "bad.safetensors"], make)
        if name not in ("one too many",):
            yield Case(
                "safetensors",
                f"{name}, as weights",
                [*RUN, "--model", "own:works", "--weights", "bad.safetensors"],
                make,
            )
    places: dict[str, Make] = {
        "a folder": lambda folder: (folder / "bad.safetensors").mkdir(),
        "a pipe": lambda folder: os.mkfifo(folder / "bad.safetensors"),
        "a link": lambda folder: (folder / "bad.safetensors").symlink_to("nowhere"),
    }
    for name, place in places.items():
        yield Case("safetensors", name, [*RUN, "--model", "bad.safetensors"], place)
    yield Case("safetensors", "no card", [*RUN, "--model", "bad.safetensors"],
               lambda f: save_file({"a": torch.zeros(1)}, f / "bad.safetensors"))  # fmt: skip
    yield Case("safetensors", "weights to begin with", [*TRAIN, "--init", "bad.safetensors"],
               lambda f: write(f / "bad.safetensors", whole[:100]))  # fmt: skip


def _card_case(name: str, card: str) -> Case:
    def make(folder: Path) -> None:
        save_file(
            {"a": torch.zeros(1)} if name == "no tensors" else _tensors(),
            folder / "bad.safetensors",
            {"counteract": card},
        )

    return Case("cards", name, [*RUN, "--model", "bad.safetensors"], make)


def _tensors() -> dict[str, torch.Tensor]:
    return dict(Card.model_validate(CARD).build().state_dict())


def _saved_network() -> bytes:
    card = Card.model_validate(CARD)
    with tempfile.TemporaryDirectory() as folder:
        save_network(card.build(), card, Path(folder) / "x.safetensors")
        return (Path(folder) / "x.safetensors").read_bytes()


def _layout(**change: Any) -> bytes:
    tensor = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | change
    text = json.dumps({"a": tensor, "__metadata__": {"counteract": json.dumps(CARD)}}).encode()
    return struct.pack("<Q", len(text)) + text + bytes(8)
