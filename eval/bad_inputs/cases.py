"""The catalogue of bad inputs: command lines, and the files that they name."""

from __future__ import annotations

import io
import itertools
import json
import os
import pickle
import shutil
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy
from safetensors.torch import save_file

from counteract._sealed import seal
from counteract.models import Card, save_network

HERE = Path(__file__).parent

Make = Callable[[Path], None]
"""A function that makes the files of a case in a folder."""


@dataclass(frozen=True)
class Case:
    """A bad input.

    Attributes:
        kind: Its kind.
        name: Its name, of which there is one of each kind.
        arguments: The command line.
        make: Makes its files.
        environment: Changes of the environment.
        file: The bytes of the largest file that may be written, for a disk that is full; None for any.
        late: True where the line can only come when all is measured, and printed.
    """

    kind: str
    name: str
    arguments: Sequence[str]
    make: Make = field(default=lambda folder: None, repr=False)
    environment: dict[str, str] = field(default_factory=dict)
    file: int | None = None
    late: bool = False


def prepare(folder: Path) -> None:
    """Makes what all cases may name: networks of one's own, images, and weights."""
    shutil.copy(HERE / "own.py", folder)
    np.savez(folder / "good.npz", **arrays())
    torch.save({"head.weight": torch.zeros(10, 3), "head.bias": torch.zeros(10)}, folder / "good.pt")


def every_case() -> list[Case]:
    """Returns all cases."""
    parts = (
        *(words(), numbers(), doubles(), names(), strangers(), archives(), checkpoints(), weight_files(), specs()),
        *(folders(), runs(), recipes()),
    )
    return list(itertools.chain(*parts))


RUN = ["evaluate", "--device", "cpu", "--limit", "4", "--attack", "pgd1", "--defence", "undefended", "--cache", "cache"]
"""A small run that is right."""

TRAIN = ["train", "--arch", "resnet8", "--width", "2", "--epochs", "1", "--limit", "60", "--out", "trained"]


def words() -> Iterator[Case]:
    """Yields command lines that are none."""
    lines = {
        "no such command": ["evaluat"], "no such option": ["evaluate", "--sedes", "1"], "a short option": ["audit", "-x"],
        "an option before": ["--limit", "3", "evaluate"], "a value is missing": ["evaluate", "--limit"],
        "one argument too many": [*RUN, "table1", "table2"], "no argument": ["report"], "no --out": ["train"],
        "a flag with a value": ["evaluate", "--trust=yes"], "an argument for none": ["attacks", "x"],
        "not UTF-8": ["evaluate", "--dataset", "\udcff\udcfe.npz"], "not UTF-8 either": ["\udcff"],
        "a command of bytes": ["\x1b[31m"], "a long command": ["x" * 100_000], "an empty command": [""],
        "a long option": ["evaluate", "--" + "x" * 100_000], "dashes": ["evaluate", "---"],
        "a restriction without the zoo": ["models", "--dataset", "cifar10"],
        "no such data in the zoo": ["models", "--robustbench", "--dataset", "mnist"],
        "no such threat in the zoo": ["models", "--robustbench", "--threat-model", "L7"],
        "a test split alone": [*TRAIN, "--test", "good.npz"], "no test split": [*TRAIN, "--dataset", "good.npz"],
        "an audit of several": ["audit", "table1"], "an experiment without networks": ["evaluate", "--dataset", "cifar100"],
    }  # fmt: skip
    for name, arguments in lines.items():
        yield Case("words", name, arguments)


def numbers() -> Iterator[Case]:
    """Yields options whose values are no numbers, or none of those that there can be."""
    texts = ["a", "-1", "0", "nan", "inf", "1e999", "1e-999", "1e999999999", "8/0", "8//255", "8/255/3", "0x8", "8/nan",
             "9" * 5000, "1/" + "9" * 5000, "½", "8 255", "--", "None", "[1]"]  # fmt: skip
    for option, commands in (("--eps", ("evaluate", "audit")), ("--eps-step", ("evaluate",))):
        for command, text in itertools.product(commands, texts):
            yield Case("numbers", f"{command} {option} {text[:12]}", [command, f"{option}={text}"])
    for option in ("--limit", "--seeds", "--draws", "--batch-size"):
        for text in ("0", "-3", "1.5", "x", "1e3", "9" * 5000):
            yield Case("numbers", f"{option} {text[:12]}", ["evaluate", f"{option}={text}"])
    for option in ("--seeds", "--draws"):
        yield Case("numbers", f"{option} without end", ["evaluate", option, "9" * 25])
    for text in ("a", "0.5", "0.5,0.5", "0.5;0.5;0.5", "nan,nan,nan", "0.5,0.5,", "inf,0,0", ",", "0.5,0.5,0.5,0.5"):
        yield Case("numbers", f"mean {text}", [*RUN, "--model", "own:works", "--mean", text, "--std", "1,1,1"])
    for text in ("0,0,0", "-1,1,1", "nan,1,1", "1", "inf,1,1"):
        yield Case("numbers", f"std {text}", [*RUN, "--model", "own:works", "--mean", "0.5,0.5,0.5", "--std", text])
    for device in ("meta", "xla", "mps", "cuda:99", "cpu:1", "cpu:0", "cuda:-1", "cuda:", "gpu", "hpu", "vulkan", "ipu",
                   "privateuseone", "lazy", "xpu", "CPU", "cuda:" + "9" * 30, "cpu,cuda", "fpga", "opengl"):  # fmt: skip
        yield Case("devices", device[:12], [*RUN[:1], *RUN[3:], "--device", device])


def doubles() -> Iterator[Case]:
    """Yields options that are given twice where one is meant, and without a value."""
    values = {"--dataset": "digits", "--mean": "1,1,1", "--norm": "Linf", "--eps": "0.1", "--eps-step": "0.1",
              "--preset": "quick", "--limit": "3", "--seeds": "1", "--draws": "1", "--precision": "float32",
              "--pool": "train", "--batch-size": "8", "--device": "cpu", "--cache": "c", "--out": "o",
              "--weights": "good.pt", "--data-dir": "d", "--model-dir": "m"}  # fmt: skip
    for command, (option, value) in itertools.product(("evaluate", "audit"), values.items()):
        yield Case("twice", f"{command} {option}", [command, option, value, option, value])
    yield Case("twice", "audit --model", ["audit", "--model", "a", "--model", "b"])
    yield Case("twice", "--trust", ["evaluate", "--trust", "--trust"])
    yield Case("twice", "a label", [*RUN, "--model", "x=own:works", "--model", "x=digits-resnet-iat"])
    yield Case("twice", "train --seed", [*TRAIN, "--seed", "1", "--seed=1"])
    for option in ("--out", "--dataset", "--model", "--attack", "--weights", "--eps"):
        yield Case("twice", f"{option} of nothing", ["evaluate", option, ""])
    yield Case("twice", "a spec of nothing", ["evaluate", ""])
    yield Case("twice", "a run of nothing", ["report", ""])


def names() -> Iterator[Case]:
    """Yields names of nothing."""
    odd = ["", "pgd", "pgd0", "pgd-1", "pgdK", "PGD10", "pgd" + "9" * 30, "pgd" + "9" * 5000, "pgd1_0", "pgd１０", "a\nb", "\x1b[31m",
           "x" * 50_000, "clean@defended", "apgd-t ", "../../etc/passwd", "pgd10-target", "😀"]  # fmt: skip
    for name in odd[1:]:
        yield Case("attacks", repr(name[:12]), ["evaluate", "--limit", "2", "--attack", name])
    for name in ("counteracton", "+", "counteraction+", "+counteraction", "a++b", "x" * 50_000, "a\nb", "counteraction;",
                 "counteraction()(", "rotation+" * 2000 + "rotatio", "COUNTERACTION", "😀+😀"):  # fmt: skip
        yield Case("defences", repr(name[:16]), ["evaluate", "--limit", "2", "--defence", name])
    for name in ("nothing", "digits-resnet-iatt", "a:b", ":", "x:", ":y", "own:", "own:make:x", "own:nothing", "own:number",
                 "own:needs", "own:waits", "own:yields", "own.py:works", ".own:works", "own..x:works", "/own:works", "a b:c",
                 "own:works()", "own:works.__call__", "torch:nn", "x" * 5000 + ":y", "robustbench:", "robustbench:a/b/c",
                 "robustbench:cifar10/Linf/Nobody", "nothing.safetensors", "=", "x=", "=own:works", "x" * 5000 + ".safetensors",
                 "a\nb:c", "own:\x1b", "http://example.org/net.safetensors"):  # fmt: skip
        yield Case("networks", repr(name[:24]), [*RUN, "--model", name])
    for name in ("digit", "mine.npz", "DIGITS", ".npz", "a\nb.npz", "x" * 5000 + ".npz", "/dev/null", "/dev/zero.npz", "cifar1000"):
        yield Case("datasets", repr(name[:16]), [*RUN, "--model", "own:works", "--dataset", name])
    for option, values in {"--preset": ("", "fulll", "x" * 5000), "--norm": ("L7", "linf"), "--precision": ("half", "fp8"),
                           "--weights": ("nothing.pt", ".", "x" * 5000)}.items():  # fmt: skip
        for value in values:
            yield Case("choices", f"{option} {value[:12]}", [*RUN, "--model", "own:works", option, value])
    yield Case("choices", "weights of a shipped network", [*RUN, "--model", "digits-resnet-iat", "--weights", "good.pt"])
    yield Case("choices", "no pool", [*RUN[:-4], "--defence", "mixup-inference", "--pool", "nothing.npz", "--cache", "cache"])
    yield Case("choices", "an odd pool", [*RUN[:-4], "--defence", "mixup-inference", "--pool", "pool", "--cache", "cache"])


def strangers() -> Iterator[Case]:
    """Yields networks of one's own that fail."""
    import own  # type: ignore[import-not-found]  # beside this file

    networks = [f"makes_{name}" for name in own.MADE] + [f"answers_{name}" for name in own.CHANGES]
    for when, name in itertools.product(("make", "first", "later"), own.DONE):
        networks.append(f"{when}_{name}")
    networks += ["NoGradient", "NoRepr", "NoEval", "NoState", "NoMove", "NoInit", "Folded"]
    for name in networks:
        yield Case("strangers", name, [*RUN, "--model", f"own:{name}"])
    yield Case("strangers", "NoLoad", [*RUN, "--model", "own:NoLoad", "--weights", "good.pt"])
    yield Case("strangers", "an audit", ["audit", "--limit", "4", "--model", "own:later_key", "--cache", "c"])
    texts = {
        "no Python": "def make(:\n", "indented": "  x = 1\n y = 2", "bytes": "\0\0\0", "raises": "raise KeyError('layer')",
        "exits": "import sys; sys.exit(0)", "ends": "import os; os._exit(0)", "keyboard": "raise KeyboardInterrupt",
        "imports nothing": "import no_such_package_at_all", "prints": "print('hello'); raise ValueError('x')",
        "base": "class B(BaseException): pass\nraise B", "recursion": "def f(): f()\nf()", "empty": "",
        "no attribute": "def __getattr__(name): raise KeyError(name)", "replaced": "import sys; sys.modules[__name__] = 3",
        "a tab": "if 1:\n\tx = 1\n        y = 2", "coding": "# coding: nothing\nx = 1", "deep": "(" * 5000,
        "chdir": "import os; os.chdir('/'); raise ValueError", "exec": "exec('1/0')",
    }  # fmt: skip
    for name, text in texts.items():

        def make(folder: Path, text: str = text) -> None:
            (folder / "mine.py").write_text(text)

        yield Case("modules", name, [*RUN, "--model", "mine:make"], make)
    yield Case("modules", "not UTF-8", [*RUN, "--model", "mine:make"], lambda f: _write(f / "mine.py", b"x = '\xff'"))
    yield Case("modules", "a folder", [*RUN, "--model", "mine:make"], lambda f: (f / "mine.py").mkdir())


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


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
        "channels first": {"images": whole["images"].transpose(0, 3, 1, 2)}, "grey": {"images": whole["images"][..., :1]},
        "one image": {"images": whole["images"][0]}, "no pixels": {"images": whole["images"][:, :0]},
        "no columns": {"images": whole["images"][:, :, :0]}, "int images": {"images": whole["images"].astype(int)},
        "bool images": {"images": whole["images"] > 9}, "too few labels": {"labels": np.arange(3)},
        "float labels": {"labels": np.arange(8.0)}, "NaN labels": {"labels": np.full(8, np.nan)},
        "labels beyond": {"labels": np.full(8, 10)}, "labels below": {"labels": np.full(8, -1)},
        "huge labels": {"labels": np.full(8, 2**64 - 1, np.uint64)}, "one-hot labels": {"labels": np.eye(8, 10)},
        "text labels": {"labels": np.array(list("01234567"))}, "bool labels": {"labels": np.ones(8, bool)},
        "dates": {"labels": np.arange(8).astype("datetime64[s]")}, "void": {"labels": np.zeros(8, "V8")},
        "structured": {"labels": np.zeros(8, "i4,i4")}, "object labels": {"labels": np.array([0] * 8, object)},
        "object names": {"class_names": np.array(["a", None], object)}, "one name": {"class_names": np.array("cat")},
        "no name": {"class_names": np.array([], "U1")}, "float names": {"class_names": np.arange(10.0)},
        "names that are no text": {"class_names": np.array(["\ud800"] * 10)}, "pairs": {"class_names": np.array([["a", "b"]])},
        "names of bytes": {"class_names": np.array([b"\xff"] * 10)}, "object images": {"images": np.array([None] * 8, object)},
    }  # fmt: skip
    for save, (name, changes) in itertools.product((np.savez, np.savez_compressed), saved.items()):

        def make(folder: Path, save: Any = save, changes: dict[str, Any] = changes) -> None:
            save(folder / "bad.npz", **{key: value for key, value in (whole | changes).items() if value is not None})

        yield Case("npz", f"{name} {save.__name__}", [*RUN, "--model", "own:works", "--dataset", "bad.npz"], make)
    for name, write in {**_odd_archives(), **_odd_headers()}.items():

        def make_odd(folder: Path, write: Callable[[Path], None] = write) -> None:
            write(folder / "bad.npz")

        yield Case("npz", name, [*RUN, "--model", "own:works", "--dataset", "bad.npz"], make_odd)
    yield Case("npz", "training", [*TRAIN, "--dataset", "bad.npz", "--test", "good.npz"], lambda f: _write(f / "bad.npz", b"PK"))
    yield Case("npz", "a pool", [*RUN[:-4], "--defence", "mixup-inference", "--pool", "bad.npz"],
               lambda f: zipped(f / "bad.npz", members(images=b"x")))  # fmt: skip


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
        "nothing": lambda path: path.write_bytes(b"") and None, "one byte": lambda path: _write(path, b"P"),
        "a web page": lambda path: _write(path, b"<html>"), "an empty archive": lambda path: zipped(path, {}),
        "no archive": lambda path: _write(path, os.urandom(4096)), "an .npy": lambda path: _write(path, member(np.ones(3))),
        "half": lambda path: cut(path, 0.5), "all but the end": lambda path: cut(path, 0.99), "a tenth": lambda path: cut(path, 0.1),
        "odd members": lambda path: zipped(path, {"a": b"b", "../../x": b"y", "images": b"z"}),
        "members without .npy": lambda path: zipped(path, {k.removesuffix(".npy"): v for k, v in members().items()}),
        "in a folder": lambda path: zipped(path, {f"x/{k}": v for k, v in members().items()}),
        "twice": doubled, "encrypted": lambda path: patched(path, flags=1), "strongly encrypted": lambda path: patched(path, flags=65),
        "a method that nobody knows": lambda path: patched(path, method=77), "AES": lambda path: patched(path, flags=1, method=99),
        "a wrong method": lambda path: patched(path, method=8), "packed as zstandard": lambda path: patched(path, method=93),
        "a claimed size": lambda path: patched(path, size=2**31), "a wrong place": lambda path: patched(path, offset=2**31),
        "a wrong checksum": lambda path: patched(path, crc=1), "packed to nothing": lambda path: patched(path, packed=0),
        "a folder": lambda path: path.mkdir(), "a pipe": lambda path: os.mkfifo(path),
        "a dangling link": lambda path: path.symlink_to("nowhere"), "a link to itself": lambda path: path.symlink_to(path.name),
        "a device": lambda path: path.symlink_to("/dev/zero"), "a bomb": lambda path: bomb(path, 2**33, zipfile.ZIP_BZIP2),
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
        "a huge header": raw_header(b" " * 60_000), "a header of two gigabytes": raw_header(b"{" * 1000, (2, 0), 2**31),
        "a header without end": raw_header(b"{'descr'", length=9000), "another version": raw_header(b"{}", (9, 9)),
        "version 3": raw_header(b"\xff\xfe", (3, 0)), "an empty header": raw_header(b""), "a number": raw_header(b"3"),
        "a deep header": raw_header(b"[" * 9000), "a deep number": raw_header(b"-" * 9000 + b"1"), "code": raw_header(b"__import__('os')"),
        "a long number": raw_header(b"9" * 9000), "other keys": raw_header(b"{'a': 1}"), "no shape": raw_header(b"{'descr': '|u1'}"),
        "a shape of texts": header(("a",)), "a shape that is none": header(8), "a negative shape": header((-8, 32, 32, 3)),
        "two negative sides": header((8, -32, -32, 3)), "a shape beyond": header((2**62, 32, 32, 3)), "a shape of fractions": header((8.0, 32, 32, 3)),
        "a shape of no end": header((10**400, 32, 32, 3)), "a true shape": header((8, 32, 32, True)), "many sides": header((1,) * 100),
        "objects": header((8, 32, 32, 3), "|O"), "a type that is none": header((8, 32, 32, 3), "x9"), "no type": header((8, 32, 32, 3), None),
        "a type of a type": header((8, 32, 32, 3), [("a", [("b", "|u1")])]), "an order that is none": header((8, 32, 32, 3), fortran=2),
        "a wide type": header((8,), "|V9999999999"), "a type with objects": header((8,), [("a", "|O")]),
    }  # fmt: skip
    found: dict[str, Callable[[Path], None]] = {}
    for name, head in heads.items():
        for of, method in (("images", zipfile.ZIP_STORED), ("labels", zipfile.ZIP_DEFLATED)):

            def write(path: Path, head: bytes = head, of: str = of, method: int = method) -> None:
                zipped(path, members(**{of: head + pixels}), method)

            found[f"{name} ({of})"] = write
    return found


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
        "mixed keys": own | {3: torch.zeros(1)}, "no tensors": {"epoch": 3}, "deep": {"model": {"model": {"model": {}}}},
        "another shape": own | {"head.bias": torch.zeros(7)}, "one missing": {"head.bias": torch.zeros(10)},
        "one too many": own | {"extra": torch.zeros(1)}, "no tensor": own | {"head.bias": 3}, "a text for a tensor": own | {"head.bias": "x"},
        "complex": own | {"head.bias": torch.zeros(10, dtype=torch.complex64)}, "a long key": {"x" * 100_000: torch.zeros(1)},
        "an odd key": {"\x1b[31m\n": torch.zeros(1)}, "many keys": {f"layer.{i}": torch.zeros(1) for i in range(2000)},
        "NaN": {name: value * torch.nan for name, value in own.items()}, "empty tensors": {name: value[:0] for name, value in own.items()},
        "a namespace": own | {"args": Path("x")}, "a network": torch.nn.Linear(3, 10),
        "code": own | {"x": _Reduced(exec, "raise SystemExit(0)")}, "sleeps": own | {"x": _Reduced(time.sleep, 1000)},
        "allocates": own | {"x": _Reduced(bytearray, 10**12)}, "allocates some": own | {"x": _Reduced(bytearray, 12 * 2**30)},
        "evaluates": own | {"x": _Reduced(builtins.eval, "1/0")}, "encodes": own | {"x": _Reduced(codecs.encode, "x", "nothing")},
        "an odd call": own | {"x": _Reduced(torch.Size, 3)}, "a large tensor": own | {"x": _Reduced(torch.Tensor, 10**13)},
        "odd set": own | {"x": _Reduced(set, 3)}, "odd complex": own | {"x": _Reduced(complex, "x")},
    }  # fmt: skip
    for new, (name, content) in itertools.product((True, False), saved.items()):

        def make(folder: Path, new: bool = new, content: object = content) -> None:
            torch.save(content, folder / "bad.pt", _use_new_zipfile_serialization=new)

        kind = "new" if new else "old"
        yield Case("checkpoints", f"{name} ({kind})", [*RUN, "--model", "own:works", "--weights", "bad.pt"], make)
    trusted: dict[str, object] = {
        "code": own | {"x": _Reduced(exec, "raise SystemExit(0)")}, "an exit": _Reduced(os._exit, 0), "prints": _Reduced(print, "hello"),
        "an error": own | {"x": _Reduced(exec, "raise KeyError('layer')")}, "a keyboard": own | {"x": _Reduced(exec, "raise KeyboardInterrupt")},
        "no module": own | {"x": _Reduced(exec, "import no_such_module")}, "numbers for keys": {0: torch.zeros(3)},
    }  # fmt: skip
    for name, content in trusted.items():

        def make_trusted(folder: Path, content: object = content) -> None:
            torch.save(content, folder / "bad.pt")

        arguments = [*RUN, "--model", "own:works", "--weights", "bad.pt", "--trust"]
        yield Case("checkpoints", f"{name}, trusted", arguments, make_trusted)
    for name, write in _odd_checkpoints().items():

        def make_odd(folder: Path, write: Callable[[Path], None] = write) -> None:
            write(folder / "bad.pt")

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
            torch.jit.trace(torch.nn.Linear(3, 10), torch.zeros(1, 3)).save(str(path))  # type: ignore[no-untyped-call]

    def packed(path: Path) -> None:
        zipped(path, {"x/data.pkl": b"\x80\x02" + b"N0" * 2**22 + b"."}, zipfile.ZIP_DEFLATED)

    pickles = {
        "a pickle": pickle.dumps({"a": 1}, 2), "a new pickle": pickle.dumps({"a": 1}, 5), "an old pickle": pickle.dumps({"a": 1}, 0),
        "no pickle": b"\x80\x02nonsense", "a pickle without end": b"\x80\x02" + b"(" * 1000, "a claimed text": b"\x80\x02X\xff\xff\xff\x7f.",
        "pops of nothing": b"\x80\x02\x85\x85\x86R.", "a memo of nothing": b"\x80\x02h\x05.", "an odd opcode": b"\x80\x02\xff.",
        "a stop": b"\x80\x02.", "an id": b"\x80\x02K\x01Q.", "a claimed number": b"\x80\x02\x8b\xff\xff\xff\x7f.",
        "pairs of pairs without end": b"\x80\x02}K\x01K\x02\x86" + b"q\x00h\x00\x86" * 60 + b"K\x01s.",
    }  # fmt: skip
    found: dict[str, Callable[[Path], None]] = {
        "nothing": lambda path: _write(path, b""), "a web page": lambda path: _write(path, b"<!DOCTYPE html><title>Sign in</title>"),
        "noise": lambda path: _write(path, os.urandom(1000)), "zeros": lambda path: _write(path, bytes(1000)),
        "half, new": lambda path: cut(path, 0.5, new=True), "half, old": lambda path: cut(path, 0.5, new=False),
        "most, old": lambda path: cut(path, 0.99, new=False), "most, new": lambda path: cut(path, 0.99, new=True),
        "a script": scripted, "another archive": lambda path: zipped(path, {"word/document.xml": b"<xml>"}), "packed": packed,
        "an .npz": lambda path: zipped(path, members()), "a folder": lambda path: path.mkdir(), "a pipe": lambda path: os.mkfifo(path),
        "a dangling link": lambda path: path.symlink_to("nowhere"), "a device": lambda path: path.symlink_to("/dev/zero"),
    }  # fmt: skip
    for name, content in pickles.items():
        found[name] = lambda path, content=content: _write(path, content)
        found[f"{name}, in an archive"] = lambda path, content=content: zipped(
            path, {"x/data.pkl": content, "x/version": b"3\n", "x/byteorder": b"little"}
        )
    return found


CARD: dict[str, Any] = {
    "architecture": "resnet8", "width": 2, "class_names": list("0123456789"), "mean": [0.5] * 3, "std": [0.5] * 3,
    "dataset": "digits", "method": "mixup",
}  # fmt: skip


def weight_files() -> Iterator[Case]:
    """Yields .safetensors files that are none, or whose cards are wrong."""
    changes: dict[str, dict[str, Any]] = {
        "no architecture": {"architecture": "vgg"}, "a number for it": {"architecture": 3}, "no width": {"width": 0},
        "a negative width": {"width": -1}, "a fraction of a width": {"width": 2.5}, "a wide one": {"width": 10**9}, "wider": {"width": 10**18},
        "widest": {"width": 10**30}, "another width": {"width": 4}, "a text for a width": {"width": "wide"}, "NaN wide": {"width": float("nan")},
        "no classes": {"class_names": []}, "classes that are numbers": {"class_names": [1, 2]}, "fewer classes": {"class_names": ["a"]},
        "no list": {"class_names": "abc"}, "NaN": {"mean": [float("nan")] * 3}, "infinite": {"std": [float("inf")] * 3}, "zero": {"std": [0.0] * 3},
        "negative": {"std": [-1.0] * 3}, "one mean": {"mean": [0.5]}, "many means": {"mean": [0.5] * 9}, "no means": {"mean": None},
        "a huge mean": {"mean": [1e400] * 3}, "no dataset": {"dataset": None}, "an odd method": {"method": ["mixup"]}, "more": {"more": 1},
        "an odd recipe": {"recipe": 3}, "odd accuracy": {"accuracy": {"clean": "high"}}, "odd conditions": {"conditions": [1]},
    }  # fmt: skip
    for name, change in changes.items():
        yield _card_case(name, json.dumps(CARD | change))
    for name, text in {"nothing": "", "no JSON": "{", "a list": "[]", "deep": "[" * 100_000, "a number": "9" * 5000, "null": "null",
                       "twice": '{"width": 1, "width": 2}', "noise": "\x00\x01", "surrogates": '"\\ud800"'}.items():  # fmt: skip
        yield _card_case(f"a card of {name}", text)
    whole = _saved_network()
    files = {
        "nothing": b"", "a byte": b"x", "noise": os.urandom(1000), "half": whole[: len(whole) // 2], "all but one": whole[:-1],
        "one too many": whole + b"x", "a huge header": struct.pack("<Q", 2**62) + whole[8:], "a negative header": b"\xff" * 8 + whole[8:],
        "no header": struct.pack("<Q", 0), "a header of spaces": struct.pack("<Q", 1000) + b" " * 1000, "a pickle": pickle.dumps({"a": 1}),
        "a list": struct.pack("<Q", 2) + b"[]", "a deep header": struct.pack("<Q", 10**5) + b"[" * 10**5, "another layout": _layout(dtype="F9"),
        "a long tensor": _layout(shape=[10**18]), "negative offsets": _layout(data_offsets=[8, 0]), "beyond": _layout(data_offsets=[0, 10**9]),
        "an odd shape": _layout(shape=[-1]), "a shape of texts": _layout(shape=["a"]), "a type of tomorrow": _layout(dtype="F4", shape=[16]),
        "a web page": b"<!DOCTYPE html>", "a header that is cut": struct.pack("<Q", 500) + b"{",
    }  # fmt: skip
    for name, content in files.items():

        def make(folder: Path, content: bytes = content) -> None:
            (folder / "bad.safetensors").write_bytes(content)

        yield Case("safetensors", name, [*RUN, "--model", "bad.safetensors"], make)
        if name not in ("one too many",):
            yield Case("safetensors", f"{name}, as weights", [*RUN, "--model", "own:works", "--weights", "bad.safetensors"], make)
    for name, place in {"a folder": Path.mkdir, "a pipe": os.mkfifo, "a link": lambda path: path.symlink_to("nowhere")}.items():
        yield Case("safetensors", name, [*RUN, "--model", "bad.safetensors"], lambda f, place=place: place(f / "bad.safetensors"))
    yield Case("safetensors", "no card", [*RUN, "--model", "bad.safetensors"],
               lambda f: save_file({"a": torch.zeros(1)}, f / "bad.safetensors"))  # fmt: skip
    yield Case("safetensors", "weights to begin with", [*TRAIN, "--init", "bad.safetensors"],
               lambda f: _write(f / "bad.safetensors", whole[:100]))  # fmt: skip


def _card_case(name: str, card: str) -> Case:
    def make(folder: Path) -> None:
        save_file({"a": torch.zeros(1)} if name == "no tensors" else _tensors(), folder / "bad.safetensors", {"counteract": card})

    return Case("cards", name, [*RUN, "--model", "bad.safetensors"], make)


def _tensors() -> dict[str, torch.Tensor]:
    return dict(Card.model_validate(CARD).build().state_dict())


def _saved_network() -> bytes:
    import tempfile

    card = Card.model_validate(CARD)
    with tempfile.TemporaryDirectory() as folder:
        save_network(card.build(), card, Path(folder) / "x.safetensors")
        return (Path(folder) / "x.safetensors").read_bytes()


def _layout(**change: Any) -> bytes:
    tensor = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | change
    text = json.dumps({"a": tensor, "__metadata__": {"counteract": json.dumps(CARD)}}).encode()
    return struct.pack("<Q", len(text)) + text + bytes(8)


SPEC = {"dataset": '"digits"', "models": '["digits-resnet-iat"]', "attacks": '["clean"]', "defences": '["undefended"]', "limit": "2"}


def specs() -> Iterator[Case]:
    """Yields specs that are none."""
    changes = {
        "dataset": ["3", '["digits"]', '"\\u0000.npz"', '"nothing.npz"', "1979-05-27"], "models": ["3", "[]", "{}", "[3]", '"x"', "{a = 3}", "[[1]]"],
        "attacks": ["[]", '"clean"', "[3]", "{a = 1}", '["nothing"]', '["pgd1", ["pgd2"]]'], "defences": ["[]", "3", '"undefended"', '[["a"]]', '["x"]'],
        "limit": ["0", "-1", "1.5", '"x"', "inf", "nan", "9999999999999999999999999", "true", "[1]"], "seeds": ["0", "1.5", "99999999999999999999999"],
        "draws": ["0", "{}", "99999999999999999999999"], "threat_model": ["3", '"Linf"', "[]", "{eps = 2}", "{eps = nan}", "{norm = 3}", '{eps = "8/0"}', "{x = 1}"],
        "eps_step": ["0", "-1", "nan", '"x"', "{}", "[1]"], "preset": ["3", '"x"', "[]", "{steps = 0}", '{preset = "x"}', "{x = 1}", "{preset = []}"],
        "parameters": ["3", "[]", "{x = {}}", "{counteraction = 3}", "{counteraction = {eps = 9999}}", "{counteraction = {x = 1}}",
                       '{counteraction = {num_labels = "x"}}', "{crop-resize = {size = 3}}", "{crop-resize = {executions = 0}}"],
        "settings": ["3", "{}", "[3]", "[{}]", "[{parameters = 3}]", '[{model = "x", parameters = {}}]', '[{defence = "x", parameters = {}}]'],
        "sweep": ["3", "{}", '{parameter = "x", values = [1]}', '{parameter = "eps", values = []}', '{parameter = "eps", values = [[1]]}'],
        "own_network": ["3", "{weights = 3}", '{mean = "x"}', "{std = [0]}", "{x = 1}"], "pool": ["3", '"x"'], "precision": ['"half"', "3"],
        "illustrations": ["-1", '"x"', "9999999999999999999999"], "extends": ['"x"', "3", "[]", "{}"], "cascade": ["3", '"x"'], "title": ["3", "[]"],
        "pixels": ['"x"'], "attack": ["3", "{eps = 9}", "{x = 1}"], "budget": ["3"], "unknown": ["1"], "gains_over": ["0"], "reading": ["3"],
    }  # fmt: skip
    for key, values in changes.items():
        for value in values:
            text = "".join(f"{name} = {each}\n" for name, each in (SPEC | {key: value}).items())
            extra = ["--defence", "mixup-inference"] if key == "pool" else []
            yield _spec_case(f"{key} = {value}", text.encode(), extra)
    good = "".join(f"{name} = {each}\n" for name, each in SPEC.items())
    texts: dict[str, bytes] = {
        "nothing": b"", "no TOML": b"= = =", "noise": os.urandom(1000), "zeros": bytes(1000), "not UTF-8": b"title = '\xff'", "huge": b"#" * 2**22,
        "deep lists": b"a = " + b"[" * 50_000, "deep tables": b"a = " + b"{a = " * 50_000, "deep keys": b"a." * 50_000 + b"a = 1",
        "deep headers": b"[" + b"a." * 50_000 + b"a]", "a long number": b"limit = " + b"9" * 50_000, "a key twice": f"{good}limit = 3\n".encode(),
        "a key of dots": f"{good}{'a.' * 150}a = 1\n".encode(), "UTF-16": good.encode("utf-16"), "a web page": b"<!DOCTYPE html>",
        "a title that is a bell": f'{good}title = "\\u0007"\nx = 1'.encode(), "a long key": f"{good}{'x' * 100_000} = 1".encode(),
        "a long value": f'{good}preset = "{"x" * 100_000}"'.encode(), "many keys": good.encode() + b"".join(b"a%d = 1\n" % i for i in range(20_000)),
        "a list in lists": good.encode() + b"preset = " + b"[" * 200 + b"]" * 200, "JSON": b'{"dataset": "digits"}', "extends itself": b'extends = "spec.toml"',
    }  # fmt: skip
    for name, content in texts.items():
        yield _spec_case(name, content)
        yield _spec_case(f"{name}, audited", content, command="audit")
    places: dict[str, Make] = {
        "a folder": lambda folder: (folder / "spec.toml").mkdir(), "a pipe": lambda folder: os.mkfifo(folder / "spec.toml"), "missing": lambda folder: None,
        "a dangling link": lambda folder: (folder / "spec.toml").symlink_to("nowhere"), "a device": lambda folder: (folder / "spec.toml").symlink_to("/dev/zero"),
        "a link to itself": lambda folder: (folder / "spec.toml").symlink_to("spec.toml"),
    }  # fmt: skip
    for name, make in places.items():
        yield Case("specs", name, ["evaluate", "spec.toml"], make)
    yield Case("specs", "a long name", ["evaluate", "x" * 5000 + ".toml"])
    yield Case("specs", "a name of lines", ["evaluate", "a\nb.toml"])


def _spec_case(name: str, content: bytes, extra: Sequence[str] = (), command: str = "evaluate") -> Case:
    def make(folder: Path) -> None:
        (folder / "spec.toml").write_bytes(content)

    return Case("specs", name[:60], [command, "spec.toml", "--cache", "cache", "--device", "cpu", *extra], make)


def folders() -> Iterator[Case]:
    """Yields folders that cannot be written to."""
    run = [*RUN[:-2], "--cache", "cache"]
    places: dict[str, Make] = {
        "a file": lambda folder: (folder / "x").touch(), "a dangling link": lambda folder: (folder / "x").symlink_to("nowhere/at/all"),
        "a link to itself": lambda folder: (folder / "x").symlink_to("x"), "a link to a file": lambda folder: (folder / "x").symlink_to("good.npz"),
        "a pipe": lambda folder: os.mkfifo(folder / "x"), "a device": lambda folder: (folder / "x").symlink_to("/dev/full"),
    }  # fmt: skip
    for name, make in places.items():
        yield Case("folders", f"--out {name}", [*run, "--out", "x"], make)
        yield Case("folders", f"--out below {name}", [*run, "--out", "x/y"], make)
        yield Case("folders", f"--cache {name}", [*RUN[:-1], "x"], make)
        yield Case("folders", f"audit --out {name}", ["audit", "--limit", "4", "--out", "x/audit.json"], make)
        yield Case("folders", f"audit --out folder {name}", ["audit", "--limit", "4", "--out", "x"], make)
        yield Case("folders", f"train --out {name}", [*TRAIN[:-1], "x"], make)
        yield Case("folders", f"cache --cache {name}", ["cache", "--cache", "x"], make)
        yield Case("folders", f"cache --clear {name}", ["cache", "--clear", "--cache", "x"], make)
    yield Case("folders", "an audit's file that is a folder", ["audit", "--limit", "4", "--out", "x.json"], lambda f: (f / "x.json").mkdir())
    for name, out in {"long": "x" * 300, "of the system": "/proc/x", "of a device": "/dev/null/x", "of the kernel": "/sys/kernel/x"}.items():
        yield Case("folders", f"--out {name}", [*run, "--out", out])
        yield Case("folders", f"--cache {name}", [*RUN[:-1], out])
        yield Case("folders", f"audit --out {name}", ["audit", "--limit", "4", "--out", f"{out}/x.json"])
    yield Case("folders", "a full disk", [*run, "--out", "x"], file=0)
    yield Case("folders", "a disk that is nearly full", [*run, "--out", "x"], file=4000, late=True)
    yield Case("folders", "an audit on a full disk", ["audit", "--limit", "4", "--out", "x.json"], file=0)
    yield Case("folders", "a training on a full disk", TRAIN, file=0)
    yield Case("folders", "a lock that is a folder", [*run, "--out", "x"], lambda f: (f / "x" / ".lock").mkdir(parents=True))
    yield Case("folders", "a journal that is a folder", [*run, "--out", "x"], lambda f: (f / "x" / "journal.jsonl").mkdir(parents=True))
    yield Case("folders", "a run that is a folder", [*run, "--out", "x"], lambda f: (f / "x" / "run.json").mkdir(parents=True))
    yield Case("folders", "a report that is a folder", [*run, "--out", "x"], lambda f: (f / "x" / "report.html").mkdir(parents=True), late=True)
    yield Case("folders", "a cache in the environment", RUN[:-2], lambda f: (f / "x").touch(), environment={"COUNTERACT_CACHE": "x"})
    yield Case("folders", "data in a file", [*RUN, "--dataset", "cifar10", "--data-dir", "good.npz"])
    yield Case("folders", "no data", [*RUN, "--dataset", "cifar10", "--data-dir", "nowhere"], environment={"https_proxy": "http://127.0.0.1:9"})


def runs() -> Iterator[Case]:
    """Yields folders of runs that are none."""
    conditions: dict[str, Any] = {
        "format": 2, "spec": {"dataset": "digits", "models": ["digits-resnet-iat"], "attacks": ["clean"], "defences": ["undefended"]},
        "environment": {"torch": "2"}, "class_names": list("0123456789"), "networks": {}, "defences": [], "obstacles": [],
        "places": [{"model": "digits-resnet-iat", "attack": "clean", "defence": "undefended", "seed": 0, "key": "k"}], "blocks": [[0, 4, "d"]],
    }  # fmt: skip
    changes: dict[str, dict[str, Any]] = {
        "a version of tomorrow": {"format": 3}, "an odd version": {"format": "x"}, "no version": {"format": None}, "no spec": {"spec": None},
        "another spec": {"spec": {"dataset": 3}}, "an odd attack": {"spec": conditions["spec"] | {"attacks": [3]}}, "no names": {"class_names": None},
        "odd networks": {"networks": [1]}, "odd notes": {"networks": {"a": {"x": 1}}}, "odd defences": {"defences": [[1]]}, "odd places": {"places": [1]},
        "a place that is none": {"places": [{"model": "x", "attack": "y", "defence": "z", "seed": 0, "key": "k"}]}, "odd blocks": {"blocks": [[1]]},
        "odd environment": {"environment": 3}, "blocks without end": {"blocks": [[0, 10**15, "d"]]}, "blocks that are texts": {"blocks": [["a", "b", "c"]]},
        "odd obstacles": {"obstacles": 3}, "negative blocks": {"blocks": [[5, -5, "d"]]}, "places without keys": {"places": [{"model": "x"}]},
    }  # fmt: skip
    for name, change in changes.items():
        yield _run_case(name, seal(conditions | change))
    contents = {
        "nothing": b"", "no JSON": b"{", "a list": b"[]", "null": b"null", "deep": b"[" * 100_000, "noise": os.urandom(100), "a number": b"9" * 5000,
        "no checksum": json.dumps(conditions).encode(), "another checksum": json.dumps(conditions | {"sum": "00000000"}).encode(), "huge": b" " * 2**27,
        "an old one": json.dumps({"spec": {}, "environment": {}, "class_names": [], "places": []}).encode(), "UTF-16": '{"a": 1}'.encode("utf-16"),
        "an odd old one": json.dumps({"spec": 3, "environment": 3, "class_names": 3, "places": 3}).encode(),
        "an old one of lists": json.dumps({"spec": [], "environment": [], "class_names": {}, "places": {}}).encode(),
    }  # fmt: skip
    for name, content in contents.items():
        yield _run_case(name, content)
    yield Case("runs", "no folder", ["report", "nowhere"])
    yield Case("runs", "a file", ["report", "good.npz"])
    yield Case("runs", "a long name", ["report", "x" * 5000])
    yield Case("runs", "a pipe", ["report", "x"], lambda f: ((f / "x").mkdir(), os.mkfifo(f / "x" / "run.json")) and None)

    def make(folder: Path) -> None:
        (folder / "x").mkdir()
        (folder / "x" / "run.json").write_bytes(seal(conditions))

    for name, out in {"a file": "good.npz", "below a file": "good.npz/x", "of the system": "/proc/x", "long": "x" * 300}.items():
        yield Case("runs", f"reports into {name}", ["report", "x", "--out", out], make)
    yield Case("runs", "reports on a full disk", ["report", "x", "--out", "y"], make, file=0)
    for name, line in {"a folder": None, "odd images": b"x"}.items():

        def make_illustrations(folder: Path, line: bytes | None = line) -> None:
            make(folder)
            if line is None:
                (folder / "x" / "journal.jsonl").mkdir()
            else:
                (folder / "x" / "illustrations.safetensors").write_bytes(line)

        yield Case("runs", f"a run with {name}", ["report", "x"], make_illustrations)


def _run_case(name: str, content: bytes) -> Case:
    def make(folder: Path) -> None:
        (folder / "x").mkdir()
        (folder / "x" / "run.json").write_bytes(content)

    return Case("runs", name, ["report", "x"], make)


def recipes() -> Iterator[Case]:
    """Yields trainings that cannot be."""
    options = {"--arch": "resnet9", "--width": "0", "--method": "mixing", "--recipe": "papers", "--epochs": "0", "--limit": "0", "--alpha": "0",
               "--seed": "x", "--init": "nothing.safetensors", "--devices": "0", "--precision": "half", "--dataset": "digit", "--data-dir": ""}  # fmt: skip
    for option, value in options.items():
        line = [*TRAIN[:1], *TRAIN[TRAIN.index(option) + 2 :]] if option in TRAIN else TRAIN
        line = [word for at, word in enumerate(TRAIN) if option not in TRAIN[max(0, at - 1) : at + 1]]
        yield Case("trainings", f"{option} {value}", [*line, option, value])
    for option, value in {"--alpha": "nan", "--seed": "9" * 30, "--width": "9" * 12, "--epochs": "9" * 25, "--limit": "5"}.items():
        line = [word for at, word in enumerate(TRAIN) if option not in TRAIN[max(0, at - 1) : at + 1]]
        yield Case("trainings", f"{option} {value[:12]}", [*line, option, value])
    yield Case("trainings", "nothing to resume", [*TRAIN, "--resume"])
    for name, content in {"noise": b"x" * 100, "a number": pickle.dumps(3), "nothing": b""}.items():

        def make(folder: Path, content: bytes = content) -> None:
            (folder / "trained").mkdir()
            (folder / "trained" / "checkpoint.pt").write_bytes(content)

        yield Case("trainings", f"resume {name}", [*TRAIN, "--resume"], make)
    values = {"epochs": ["0", '"x"', "nan", "1.5"], "batch_size": ["1", "99999999999999999999"], "lr": ["0", "nan", "-1", "inf", '"x"'], "schedule": ['"x"', "3"],
              "drops": ["3", '["x"]', "[1]"], "mixup": ["3", "[]", "{x = 1}", "{lr = 0}"], "x": ["1"], "crop_padding": ["-1"], "momentum": ["1", "nan"]}  # fmt: skip
    base = {"epochs": "1", "batch_size": "16", "lr": "0.01", "schedule": '"one-cycle"', "validation": "8"}
    for key, each in values.items():
        for value in each:
            text = "".join(f"{name} = {found}\n" for name, found in (base | {key: value}).items())
            line = [word for word in TRAIN if word not in ("--epochs", "1")]
            yield Case("trainings", f"{key} = {value}", [*line, "--recipe", "mine.toml"],
                       lambda f, text=text: _write(f / "mine.toml", text.encode()))  # fmt: skip
