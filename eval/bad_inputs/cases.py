"""The catalogue of bad inputs: command lines, and the files that they name."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import own
import torch
from archives import archives, arrays
from case import RUN, TRAIN, Case, Make, write
from texts import recipes, runs, specs
from weights import checkpoints, weight_files

HERE = Path(__file__).parent


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


def words() -> Iterator[Case]:
    """Yields command lines that are none."""
    lines = {
        "no such command": ["evaluat"], "no such option": ["evaluate", "--sedes", "1"],
        "a short option": ["audit", "-x"], "an option before": ["--limit", "3", "evaluate"],
        "a value is missing": ["evaluate", "--limit"], "one argument too many": [*RUN, "table1", "table2"],
        "no argument": ["report"], "no --out": ["train"], "a flag with a value": ["evaluate", "--trust=yes"],
        "an argument for none": ["attacks", "x"], "not UTF-8": ["evaluate", "--dataset", "\udcff\udcfe.npz"],
        "not UTF-8 either": ["\udcff"], "a command of bytes": ["\x1b[31m"], "a long command": ["x" * 100_000],
        "an empty command": [""], "a long option": ["evaluate", "--" + "x" * 100_000], "dashes": ["evaluate", "---"],
        "a restriction without the zoo": ["models", "--dataset", "cifar10"],
        "no such data in the zoo": ["models", "--robustbench", "--dataset", "mnist"],
        "no such threat in the zoo": ["models", "--robustbench", "--threat-model", "L7"],
        "a test split alone": [*TRAIN, "--test", "good.npz"], "no test split": [*TRAIN, "--dataset", "good.npz"],
        "an audit of several": ["audit", "table1"],
        "an experiment without networks": ["evaluate", "--dataset", "cifar100"],
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
    for device in (
        "meta", "xla", "mps", "cuda:99", "cpu:1", "cpu:0", "cuda:-1", "cuda:", "gpu", "hpu", "vulkan", "ipu",
        "privateuseone", "lazy", "xpu", "CPU", "cuda:" + "9" * 30, "cpu,cuda", "fpga", "opengl",
    ):  # fmt: skip
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
    odd = [
        "", "pgd", "pgd0", "pgd-1", "pgdK", "PGD10", "pgd" + "9" * 30, "pgd" + "9" * 5000, "pgd1_0", "pgd１０", "a\nb",
        "\x1b[31m", "x" * 50_000, "clean@defended", "apgd-t ", "../../etc/passwd", "pgd10-target", "😀",
    ]  # fmt: skip
    for name in odd[1:]:
        yield Case("attacks", _short(name), ["evaluate", "--limit", "2", "--attack", name])
    for name in (
        "counteracton", "+", "counteraction+", "+counteraction", "a++b", "x" * 50_000, "a\nb", "counteraction;",
        "counteraction()(", "rotation+" * 2000 + "rotatio", "COUNTERACTION", "😀+😀",
    ):  # fmt: skip
        yield Case("defences", _short(name), ["evaluate", "--limit", "2", "--defence", name])
    for name in (
        "nothing", "digits-resnet-iatt", "a:b", ":", "x:", ":y", "own:", "own:make:x", "own:nothing", "own:number",
        "own:needs", "own:waits", "own:yields", "own.py:works", ".own:works", "own..x:works", "/own:works", "a b:c",
        "own:works()", "own:works.__call__", "torch:nn", "x" * 5000 + ":y", "robustbench:", "robustbench:a/b/c",
        "robustbench:cifar10/Linf/Nobody", "nothing.safetensors", "=", "x=", "=own:works", "x" * 5000 + ".safetensors",
        "a\nb:c", "own:\x1b", "http://example.org/net.safetensors",
    ):  # fmt: skip
        yield Case("networks", _short(name), [*RUN, "--model", name])
    for name in (
        "digit",
        "mine.npz",
        "DIGITS",
        ".npz",
        "a\nb.npz",
        "x" * 5000 + ".npz",
        "/dev/null",
        "/dev/zero.npz",
        "cifar1000",
    ):
        yield Case("datasets", _short(name), [*RUN, "--model", "own:works", "--dataset", name])
    for option, values in {
        "--preset": ("", "fulll", "x" * 5000), "--norm": ("L7", "linf"), "--precision": ("half", "fp8"),
        "--weights": ("nothing.pt", ".", "x" * 5000),
    }.items():  # fmt: skip
        for value in values:
            yield Case("choices", f"{option} {value[:12]}", [*RUN, "--model", "own:works", option, value])
    yield Case(
        "choices", "weights of a shipped network", [*RUN, "--model", "digits-resnet-iat", "--weights", "good.pt"]
    )
    yield Case("choices", "no pool", [*RUN, "--defence", "mixup-inference", "--pool", "nothing.npz"])
    yield Case("choices", "an odd pool", [*RUN, "--defence", "mixup-inference", "--pool", "pool"])


def _short(name: str) -> str:
    """Returns a name for a case with a name of nothing."""
    return repr(name) if len(name) < 60 else f"{name[:8]!r}, {len(name):,} long"


def strangers() -> Iterator[Case]:
    """Yields networks of one's own that fail."""
    networks = [f"makes_{name}" for name in own.MADE] + [f"answers_{name}" for name in own.CHANGES]
    for when, name in itertools.product(("make", "first", "later"), own.DONE):
        networks.append(f"{when}_{name}")
    networks += ["NoGradient", "NoRepr", "NoEval", "NoState", "NoMove", "NoInit"]
    for name in networks:
        yield Case("strangers", name, [*RUN, "--model", f"own:{name}"])
    yield Case("strangers", "NoLoad", [*RUN, "--model", "own:NoLoad", "--weights", "good.pt"])
    yield Case("strangers", "an audit", ["audit", "--limit", "4", "--model", "own:later_key", "--cache", "c"])
    texts = {
        "no Python": "def make(:\n", "indented": "  x = 1\n y = 2", "bytes": "\0\0\0",
        "raises": "raise KeyError('layer')", "exits": "import sys; sys.exit(0)", "ends": "import os; os._exit(0)",
        "keyboard": "raise KeyboardInterrupt", "imports nothing": "import no_such_package_at_all",
        "prints": "print('hello'); raise ValueError('x')", "base": "class B(BaseException): pass\nraise B",
        "recursion": "def f(): f()\nf()", "empty": "", "no attribute": "def __getattr__(name): raise KeyError(name)",
        "replaced": "import sys; sys.modules[__name__] = 3", "a tab": "if 1:\n\tx = 1\n        y = 2",
        "coding": "# coding: nothing\nx = 1", "deep": "(" * 5000,
        "chdir": "import os; os.chdir('/'); raise ValueError", "exec": "exec('1/0')",
    }  # fmt: skip
    for name, text in texts.items():

        def make(folder: Path, text: str = text) -> None:
            (folder / "mine.py").write_text(text)

        yield Case("modules", name, [*RUN, "--model", "mine:make"], make)
    yield Case("modules", "not UTF-8", [*RUN, "--model", "mine:make"], lambda f: write(f / "mine.py", b"x = '\xff'"))
    yield Case("modules", "a folder", [*RUN, "--model", "mine:make"], lambda f: (f / "mine.py").mkdir())


def folders() -> Iterator[Case]:
    """Yields folders that cannot be written to."""
    run = [*RUN[:-2], "--cache", "cache"]
    places: dict[str, Make] = {
        "a file": lambda folder: (folder / "x").touch(),
        "a dangling link": lambda folder: (folder / "x").symlink_to("nowhere/at/all"),
        "a link to itself": lambda folder: (folder / "x").symlink_to("x"),
        "a link to a file": lambda folder: (folder / "x").symlink_to("good.npz"),
        "a pipe": lambda folder: os.mkfifo(folder / "x"),
        "a device": lambda folder: (folder / "x").symlink_to("/dev/full"),
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
    yield Case(
        "folders",
        "an audit's file that is a folder",
        ["audit", "--limit", "4", "--out", "x.json"],
        lambda f: (f / "x.json").mkdir(),
    )
    for name, out in {
        "long": "x" * 300,
        "of the system": "/proc/x",
        "of a device": "/dev/null/x",
        "of the kernel": "/sys/kernel/x",
    }.items():
        yield Case("folders", f"--out {name}", [*run, "--out", out])
        yield Case("folders", f"--cache {name}", [*RUN[:-1], out])
        yield Case("folders", f"audit --out {name}", ["audit", "--limit", "4", "--out", f"{out}/x.json"])
    yield Case("folders", "a full disk", [*run, "--out", "x"], file=0)
    yield Case("folders", "a disk that is nearly full", [*run, "--out", "x"], file=4000, late=True)
    yield Case("folders", "an audit on a full disk", ["audit", "--limit", "4", "--out", "x.json"], file=0)
    yield Case("folders", "a training on a full disk", TRAIN, file=0)
    yield Case(
        "folders", "a lock that is a folder", [*run, "--out", "x"], lambda f: (f / "x" / ".lock").mkdir(parents=True)
    )
    yield Case(
        "folders",
        "a journal that is a folder",
        [*run, "--out", "x"],
        lambda f: (f / "x" / "journal.jsonl").mkdir(parents=True),
    )
    yield Case(
        "folders", "a run that is a folder", [*run, "--out", "x"], lambda f: (f / "x" / "run.json").mkdir(parents=True)
    )
    yield Case(
        "folders",
        "a report that is a folder",
        [*run, "--out", "x"],
        lambda f: (f / "x" / "report.html").mkdir(parents=True),
        late=True,
    )
    yield Case(
        "folders",
        "a cache in the environment",
        RUN[:-2],
        lambda f: (f / "x").touch(),
        environment={"COUNTERACT_CACHE": "x"},
    )
    yield Case("folders", "data in a file", [*RUN, "--dataset", "cifar10", "--data-dir", "good.npz"])
    yield Case(
        "folders",
        "no data",
        [*RUN, "--dataset", "cifar10", "--data-dir", "nowhere"],
        environment={"https_proxy": "http://127.0.0.1:9"},
    )
