"""Texts that are none: specs, recipes, and the conditions of runs."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from case import TRAIN, Case, Make, holding, nothing

from counteract._sealed import seal

SPEC = {
    "dataset": '"digits"',
    "models": '["digits-resnet-iat"]',
    "attacks": '["clean"]',
    "defences": '["undefended"]',
    "limit": "2",
}


def specs() -> Iterator[Case]:
    """Yields specs that are none."""
    changes = {
        "dataset": ["3", '["digits"]', '"\\u0000.npz"', '"nothing.npz"', "1979-05-27"],
        "models": ["3", "[]", "{}", "[3]", '"x"', "{a = 3}", "[[1]]"],
        "attacks": ["[]", '"clean"', "[3]", "{a = 1}", '["nothing"]', '["pgd1", ["pgd2"]]'],
        "defences": ["[]", "3", '"undefended"', '[["a"]]', '["x"]'],
        "limit": ["0", "-1", "1.5", '"x"', "inf", "nan", "9999999999999999999999999", "true", "[1]"],
        "seeds": ["0", "1.5", "99999999999999999999999"], "draws": ["0", "{}", "99999999999999999999999"],
        "threat_model": ["3", '"Linf"', "[]", "{eps = 2}", "{eps = nan}", "{norm = 3}", '{eps = "8/0"}', "{x = 1}"],
        "eps_step": ["0", "-1", "nan", '"x"', "{}", "[1]"],
        "preset": ["3", '"x"', "[]", "{steps = 0}", '{preset = "x"}', "{x = 1}", "{preset = []}"],
        "parameters": ["3", "[]", "{x = {}}", "{counteraction = 3}",
                       "{counteraction = {x = 1}}", '{counteraction = {num_labels = "x"}}',
                       "{crop-resize = {size = 3}}", "{crop-resize = {executions = 0}}"],
        "settings": ["3", "{}", "[3]", "[{}]", "[{parameters = 3}]", '[{model = "x", parameters = {}}]',
                     '[{defence = "x", parameters = {}}]'],
        "sweep": ["3", "{}", '{parameter = "x", values = [1]}', '{parameter = "eps", values = []}',
                  '{parameter = "eps", values = [[1]]}'],
        "own_network": ["3", "{weights = 3}", '{mean = "x"}', "{std = [0]}", "{x = 1}"], "pool": ["3", '"x"'],
        "precision": ['"half"', "3"], "illustrations": ["-1", '"x"', "9999999999999999999999"],
        "extends": ['"x"', "3", "[]", "{}"], "cascade": ["3", '"x"'], "title": ["3", "[]"], "pixels": ['"x"'],
        "attack": ["3", "{eps = 9}", "{x = 1}"], "budget": ["3"], "unknown": ["1"], "gains_over": ["0"],
        "reading": ["3"],
    }  # fmt: skip
    for key, values in changes.items():
        for value in values:
            text = "".join(f"{name} = {each}\n" for name, each in (SPEC | {key: value}).items())
            extra = ["--defence", "mixup-inference"] if key == "pool" else []
            yield _spec_case(f"{key} = {value}", text.encode(), extra)
    good = "".join(f"{name} = {each}\n" for name, each in SPEC.items())
    texts: dict[str, bytes] = {
        "nothing": b"", "no TOML": b"= = =", "noise": os.urandom(1000), "zeros": bytes(1000),
        "not UTF-8": b"title = '\xff'", "huge": b"#" * 2**22, "deep lists": b"a = " + b"[" * 50_000,
        "deep tables": b"a = " + b"{a = " * 50_000, "deep keys": b"a." * 50_000 + b"a = 1",
        "deep headers": b"[" + b"a." * 50_000 + b"a]", "a long number": b"limit = " + b"9" * 50_000,
        "a key twice": f"{good}limit = 3\n".encode(), "a key of dots": f"{good}{'a.' * 150}a = 1\n".encode(),
        "UTF-16": good.encode("utf-16"), "a web page": b"<!DOCTYPE html>",
        "a title that is a bell": f'{good}title = "\\u0007"\nx = 1'.encode(),
        "a long key": f"{good}{'x' * 100_000} = 1".encode(),
        "a long value": f'{good}preset = "{"x" * 100_000}"'.encode(),
        "many keys": good.encode() + b"".join(b"a%d = 1\n" % i for i in range(20_000)),
        "a list in lists": good.encode() + b"preset = " + b"[" * 200 + b"]" * 200, "JSON": b'{"dataset": "digits"}',
        "extends itself": b'extends = "spec.toml"',
    }  # fmt: skip
    for name, content in texts.items():
        yield _spec_case(name, content)
        yield _spec_case(f"{name}, audited", content, command="audit")
    places: dict[str, Make] = {
        "a folder": lambda folder: (folder / "spec.toml").mkdir(),
        "a pipe": lambda folder: os.mkfifo(folder / "spec.toml"), "missing": nothing,
        "a dangling link": lambda folder: (folder / "spec.toml").symlink_to("nowhere"),
        "a device": lambda folder: (folder / "spec.toml").symlink_to("/dev/zero"),
        "a link to itself": lambda folder: (folder / "spec.toml").symlink_to("spec.toml"),
    }  # fmt: skip
    for name, make in places.items():
        yield Case("specs", name, ["evaluate", "spec.toml"], make)
    yield Case("specs", "a long name", ["evaluate", "x" * 5000 + ".toml"])
    yield Case("specs", "a name of lines", ["evaluate", "a\nb.toml"])


def _spec_case(name: str, content: bytes, extra: Sequence[str] = (), command: str = "evaluate") -> Case:
    line = [command, "spec.toml", "--cache", "cache", "--device", "cpu", *extra]
    return Case("specs", name[:60], line, holding("spec.toml", content))


def runs() -> Iterator[Case]:
    """Yields folders of runs that are none."""
    conditions: dict[str, Any] = {
        "format": 2,
        "spec": {name: json.loads(value) for name, value in SPEC.items()},
        "environment": {"torch": "2"}, "class_names": list("0123456789"), "networks": {}, "defences": [],
        "obstacles": [],
        "places": [{"model": "digits-resnet-iat", "attack": "clean", "defence": "undefended", "seed": 0, "key": "k"}],
        "blocks": [[0, 4, "d"]],
    }  # fmt: skip
    changes: dict[str, dict[str, Any]] = {
        "a version of tomorrow": {"format": 3}, "an odd version": {"format": "x"}, "no version": {"format": None},
        "no spec": {"spec": None}, "another spec": {"spec": {"dataset": 3}},
        "an odd attack": {"spec": conditions["spec"] | {"attacks": [3]}}, "no names": {"class_names": None},
        "odd networks": {"networks": [1]}, "odd notes": {"networks": {"a": {"x": 1}}},
        "odd defences": {"defences": [[1]]}, "odd places": {"places": [1]},
        "a place that is none": {"places": [{"model": "x", "attack": "y", "defence": "z", "seed": 0, "key": "k"}]},
        "odd blocks": {"blocks": [[1]]}, "odd environment": {"environment": 3},
        "blocks without end": {"blocks": [[0, 10**15, "d"]]}, "blocks that are texts": {"blocks": [["a", "b", "c"]]},
        "odd obstacles": {"obstacles": 3}, "negative blocks": {"blocks": [[5, -5, "d"]]},
        "places without keys": {"places": [{"model": "x"}]},
    }  # fmt: skip
    for name, change in changes.items():
        yield _run_case(name, seal(conditions | change))
    contents = {
        "nothing": b"", "no JSON": b"{", "a list": b"[]", "null": b"null", "deep": b"[" * 100_000,
        "noise": os.urandom(100), "a number": b"9" * 5000, "no checksum": json.dumps(conditions).encode(),
        "another checksum": json.dumps(conditions | {"sum": "00000000"}).encode(), "huge": b" " * 2**27,
        "an old one": json.dumps({"spec": {}, "environment": {}, "class_names": [], "places": []}).encode(),
        "UTF-16": '{"a": 1}'.encode("utf-16"),
        "an odd old one": json.dumps({"spec": 3, "environment": 3, "class_names": 3, "places": 3}).encode(),
        "an old one of lists": json.dumps({"spec": [], "environment": [], "class_names": {}, "places": {}}).encode(),
    }  # fmt: skip
    for name, content in contents.items():
        yield _run_case(name, content)
    yield Case("runs", "no folder", ["report", "nowhere"])
    yield Case("runs", "a file", ["report", "good.npz"])
    yield Case("runs", "a long name", ["report", "x" * 5000])

    def make_pipe(folder: Path) -> None:
        (folder / "x").mkdir()
        os.mkfifo(folder / "x" / "run.json")

    yield Case("runs", "a pipe", ["report", "x"], make_pipe)

    def make(folder: Path) -> None:
        (folder / "x").mkdir()
        (folder / "x" / "run.json").write_bytes(seal(conditions))

    for name, out in {
        "a file": "good.npz",
        "below a file": "good.npz/x",
        "of the system": "/proc/x",
        "long": "x" * 300,
    }.items():
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
    options = {
        "--arch": "resnet9", "--width": "0", "--method": "mixing", "--recipe": "papers", "--epochs": "0",
        "--limit": "0", "--alpha": "0", "--seed": "x", "--init": "nothing.safetensors", "--devices": "0",
        "--precision": "half", "--dataset": "digit", "--data-dir": "",
    }  # fmt: skip
    for option, value in options.items():
        line = [word for at, word in enumerate(TRAIN) if option not in TRAIN[max(0, at - 1) : at + 1]]
        yield Case("trainings", f"{option} {value}", [*line, option, value])
    for option, value in {
        "--alpha": "nan",
        "--seed": "9" * 30,
        "--width": "9" * 12,
        "--epochs": "9" * 25,
        "--limit": "5",
    }.items():
        line = [word for at, word in enumerate(TRAIN) if option not in TRAIN[max(0, at - 1) : at + 1]]
        yield Case("trainings", f"{option} {value[:12]}", [*line, option, value])
    yield Case("trainings", "nothing to resume", [*TRAIN, "--resume"])
    for name, content in {"noise": b"x" * 100, "a number": pickle.dumps(3), "nothing": b""}.items():

        def make(folder: Path, content: bytes = content) -> None:
            (folder / "trained").mkdir()
            (folder / "trained" / "checkpoint.pt").write_bytes(content)

        yield Case("trainings", f"resume {name}", [*TRAIN, "--resume"], make)
    values = {
        "epochs": ["0", '"x"', "nan", "1.5"], "batch_size": ["1", "99999999999999999999"],
        "lr": ["0", "nan", "-1", "inf", '"x"'], "schedule": ['"x"', "3"], "drops": ["3", '["x"]', "[1]"],
        "mixup": ["3", "[]", "{x = 1}", "{lr = 0}"], "x": ["1"], "crop_padding": ["-1"], "momentum": ["1", "nan"],
    }  # fmt: skip
    base = {"epochs": "1", "batch_size": "16", "lr": "0.01", "schedule": '"one-cycle"', "validation": "8"}
    for key, each in values.items():
        for value in each:
            text = "".join(f"{name} = {found}\n" for name, found in (base | {key: value}).items())
            line = [word for word in TRAIN if word not in ("--epochs", "1")]
            made = holding("mine.toml", text.encode())
            yield Case("trainings", f"{key} = {value}", [*line, "--recipe", "mine.toml"], made)
