"""Identity: the same for the same, another for whatever a result depends on; and no result is ever another's."""

from __future__ import annotations

import copy
import functools
import importlib
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn
from watching import Watcher

from counteract import GaussianNoise
from counteract.datasets import ArrayDataset, Dataset
from counteract.evaluation import Run, RunOptions, evaluate
from counteract.evaluation.identity import fingerprint, network_key, object_key, sources_of
from counteract.models import Normalize


def test_parts_do_not_run_together() -> None:
    parts: list[tuple[str | int | float | torch.Tensor, ...]] = [
        ("ab", "c"), ("a", "bc"), ("abc",), (1,), ("1",), (1.0,), (True,),
        (torch.zeros(2, 3),), (torch.zeros(3, 2),), (torch.zeros(6),), (torch.zeros(6, dtype=torch.int32),),
        (torch.zeros(6, dtype=torch.bfloat16),), (torch.zeros(0),), (torch.zeros(()),),
    ]  # fmt: skip
    found = [fingerprint(*part) for part in parts]
    assert len(set(found)) == len(parts)
    assert found == [fingerprint(*part) for part in parts]


def test_a_network_by_its_structure_and_every_number_in_it(net: TinyNet) -> None:
    same, other = copy.deepcopy(net), copy.deepcopy(net)
    assert network_key(same) == network_key(net)
    assert network_key(same.train()) == network_key(net)
    with torch.no_grad():
        next(iter(other.parameters())).view(-1)[0] += 1e-6
    assert network_key(other) != network_key(net)
    buffered = copy.deepcopy(net)
    next(iter(buffered.buffers())).view(-1)[0] += 1
    assert network_key(buffered) != network_key(net)
    assert network_key(net, ("source",)) != network_key(net)


def test_a_key_is_the_same_in_every_process() -> None:
    """Sets and hashes of strings differ from process to process; keys must not."""
    import os
    import subprocess
    import sys

    code = (
        "from counteract.evaluation.identity import network_key; from networks import TinyNet; net = TinyNet(); "
        "net.names = {'a', 'b', 'c'}; net.test = lambda x: x in {'d', 'e', 'f'}; print(network_key(net))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


class Changed(nn.Module):
    """A network whose behaviour hangs on things that no state dict has."""

    hidden: Tensor
    kept: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.net = TinyNet(10)
        self.sign, self.table, self.array = 1.0, {"shift": [0.0]}, np.zeros(10, np.float32)
        self.parts = [nn.Linear(3072, 10)]
        self.last: Any = functools.partial(torch.mul, other=1.0)
        self.register_buffer("hidden", torch.zeros(10), persistent=False)
        self.register_buffer("kept", torch.zeros(10))
        with torch.no_grad():
            self.parts[0].weight.zero_()
            self.parts[0].bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        scores = self.net(x) * self.sign + self.table["shift"][0] * torch.arange(10) + torch.from_numpy(self.array)
        out: Tensor = self.last(scores + self.parts[0](x.flatten(1)) + self.hidden + self.kept)
        return out


SLOPE = -1.0 * torch.arange(10)
"""Enough to change most answers."""


def made(code: str, **names: Any) -> nn.Module:
    """A network whose class was typed in, and stands in no file."""
    space: dict[str, Any] = {"torch": torch, "nn": nn, "TinyNet": TinyNet, **names}
    exec(code, space)
    network: nn.Module = space["Net"]()
    return network


TYPED = "class Net(TinyNet):\n    def forward(self, x): return {} * super().forward(x)"
GLOBAL = "class Net(TinyNet):\n    def forward(self, x): return SIGN * super().forward(x)"


class StraightThrough(nn.Module):
    """Answers right, and hands back a gradient of its own."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.net, self.share = TinyNet(), [share]
        self.share_of: Callable[[], float] = lambda: share

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x.detach() + self.share_of() * (x - x.detach()))
        return out


def changed(change: Callable[[Changed], object]) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        network = Changed()
        change(network)
        return network.eval()

    return make


def _set(name: str, value: object) -> Callable[[Changed], object]:
    return lambda network: setattr(network, name, value)


def _hooked(network: nn.Module) -> None:
    network.register_forward_hook(lambda module, inputs, output: -output)


def _weight(network: Changed) -> None:
    with torch.no_grad():
        network.net.head.weight.neg_()


def _linear(network: Changed) -> None:
    with torch.no_grad():
        network.parts[0].bias.copy_(10 * SLOPE)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module]]] = {
    "a number": (changed(_set("sign", 1.0)), changed(_set("sign", -1.0))),
    "a list in a dict": (changed(id), changed(_set("table", {"shift": [-9.0]}))),
    "an array": (changed(id), changed(_set("array", 9 * SLOPE.numpy()))),
    "a module in a list": (changed(id), changed(_linear)),
    "a partial": (changed(id), changed(_set("last", functools.partial(torch.mul, other=-1.0)))),
    "a lambda": (changed(_set("last", lambda x: x)), changed(_set("last", lambda x: -x))),
    "a buffer that is not persistent": (changed(id), changed(lambda n: n.hidden.copy_(9 * SLOPE))),
    "a buffer": (changed(id), changed(lambda n: n.kept.copy_(9 * SLOPE))),
    "a parameter": (changed(id), changed(_weight)),
    "a hook": (changed(id), changed(_hooked)),
    "a method of the object": (changed(id), changed(lambda n: setattr(n, "forward", lambda x: -n.net(x)))),
    "the forward method": (lambda: made(TYPED.format(1)).eval(), lambda: made(TYPED.format(-1)).eval()),
    "a global": (lambda: made(GLOBAL, SIGN=1).eval(), lambda: made(GLOBAL, SIGN=-1).eval()),
    "mean and deviation": (
        lambda: nn.Sequential(Normalize([0.5] * 3, [0.25] * 3), TinyNet()).eval(),
        lambda: nn.Sequential(Normalize([0.1] * 3, [0.9] * 3), TinyNet()).eval(),
    ),
    "the gradient alone": (lambda: StraightThrough(1.0).eval(), lambda: StraightThrough(-1.0).eval()),
}


def run(network: nn.Module, data: Dataset, folder: Path | None = None, **changes: Any) -> Run:
    """A short run; with a folder it keeps its journal and its examples there."""
    options = RunOptions(
        watcher=Lenient(), folder=folder and made_folder(folder / "out"), cache=folder and folder / "cache"
    )
    more: dict[str, Any] = {"defences": ["undefended", "gaussian-noise"], "attacks": ["clean", "pgd3", "bpda-apgd-ce"]}
    more |= {"preset": TINY, "options": options, "parameters": NOISE, "eps": 0.05}
    return evaluate(network, data, **more | changes)


TINY = {"preset": "quick", "steps": 2, "draws": 1, "executions": 2}
NOISE = {"gaussian-noise": {"std": 0.1, "executions": 2}}


def made_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Lenient(Watcher):
    """A watcher that hears of new answers under an old key without failing."""

    def warn(self, message: str) -> None:
        assert "answers differently" in message


def hits(found: Run) -> dict[tuple[str, str, str], dict[int, list[float]]]:
    return {
        (cell.model, cell.attack, cell.defence): {seed: shares.tolist() for seed, shares in cell.correct.items()}
        for cell in found.cells
    }


@pytest.fixture(scope="module")
def few(digits: Dataset) -> Dataset:
    return digits.take(48)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_that_differ_in_one_thing_share_no_result(name: str, few: Dataset, tmp_path: Path) -> None:
    before, after = (make() for make in NETWORKS[name])
    first = hits(run(before, few, tmp_path))
    fresh = hits(run(after, few))
    assert first != fresh  # else the test could not see a stale result
    assert hits(run(after, few, tmp_path)) == fresh
    assert hits(run(before, few, tmp_path)) == first


def test_the_same_network_finds_its_results_again(few: Dataset, tmp_path: Path) -> None:
    watcher = Watcher()
    options = RunOptions(watcher=watcher, folder=made_folder(tmp_path / "out"))
    for make in (*NETWORKS["a number"][:1], *NETWORKS["the forward method"][:1]):
        run(make(), few, options=options)
        begun = watcher.begun
        run(make(), few, options=options)
        assert watcher.begun == begun > 0


def _relabelled(data: Dataset) -> Dataset:
    return ArrayDataset(data.name, data.images, data.labels.flip(0), data.class_names)


def _repainted(data: Dataset) -> Dataset:
    return ArrayDataset(data.name, data.images.flip(2), data.labels, data.class_names)


CHANGES: dict[str, dict[str, Any]] = {
    "eps": {"eps": 0.2},
    "eps_step": {"eps_step": 0.001},
    "attack_label": {"attack_label": "predicted"},
    "steps": {"preset": TINY | {"steps": 9}},
    "draws": {"draws": 3},
    "seeds": {"seeds": 2},
    "cascade": {"cascade": True},
    "parameters": {"parameters": {"gaussian-noise": {"std": 0.9, "executions": 2}}},
    "executions": {"parameters": {"gaussian-noise": {"std": 0.1, "executions": 1}}},
    "settings": {"settings": [{"attacks": "untargeted", "parameters": {"gaussian-noise": {"std": 0.9}}}]},
    "another defence": {"defences": ["undefended", "rotation"]},
    "other attacks": {"attacks": ["clean", "pgd1", "pgd2-targeted", "noise"]},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_spec_that_changes_finds_no_stale_result(
    name: str, few: Dataset, digits_net: nn.Module, tmp_path: Path
) -> None:
    run(digits_net, few, tmp_path)
    fresh = hits(run(digits_net, few, **CHANGES[name]))
    before = (tmp_path / "out" / "journal.jsonl").read_text().count("\n")
    assert hits(run(digits_net, few, tmp_path, **CHANGES[name])) == fresh
    assert (tmp_path / "out" / "journal.jsonl").read_text().count("\n") > before


@pytest.mark.parametrize("change", [_relabelled, _repainted, lambda data: data.take(30)])
def test_data_that_change_find_no_stale_result(
    change: Callable[[Dataset], Dataset], few: Dataset, digits_net: nn.Module, tmp_path: Path
) -> None:
    first = hits(run(digits_net, few, tmp_path))
    fresh = hits(run(digits_net, change(few)))
    assert first != fresh
    assert hits(run(digits_net, change(few), tmp_path)) == fresh


def test_a_pool_that_changes_finds_no_stale_result(
    few: Dataset, digits: Dataset, digits_net: nn.Module, tmp_path: Path
) -> None:
    half: dict[str, Any] = {
        "parameters": {"mixup-inference": {"weight": 0.3, "executions": 1}},
        "defences": ["mixup-inference"],
    }
    pools = [
        ArrayDataset("pool", digits.images[a:b], digits.labels[a:b], digits.class_names)
        for a, b in ((50, 99), (99, 150))
    ]
    first, fresh = (hits(run(digits_net, few, pool=pool, **half)) for pool in pools)
    assert first != fresh
    assert hits(run(digits_net, few, tmp_path, pool=pools[0], **half)) == first
    assert hits(run(digits_net, few, tmp_path, pool=pools[1], **half)) == fresh


def test_defences_in_hand_are_told_apart(few: Dataset, digits_net: nn.Module, tmp_path: Path) -> None:
    defences = [GaussianNoise(0.01), GaussianNoise(0.6), Doubled(digits_net, 1.0), Doubled(digits_net, -1.0)]
    assert len({object_key(defence) for defence in defences}) == 4
    for defence in defences:
        fresh = hits(run(digits_net, few, defences=[defence]))
        assert hits(run(digits_net, few, tmp_path, defences=[defence])) == fresh


class Doubled(nn.Module):
    """A whole defended network."""

    def __init__(self, net: nn.Module, sign: float) -> None:
        super().__init__()
        self.net, self.sign = net, sign

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.sign * self.net(x)
        return out


def test_the_sources_of_a_strangers_code_are_its_files_and_those_they_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "helper_of_sources.py").write_text("STEPS = 3\n")
    (tmp_path / "sources.py").write_text(
        "import torch, helper_of_sources as helper\ndef inner(x): return x\ndef make(network, eps):\n    return inner\n"
    )
    made = importlib.import_module("sources").make
    assert sources_of(made) == ["STEPS = 3\n", (tmp_path / "sources.py").read_text()]
    assert sources_of(functools.partial(made, eps=1)) == sources_of(made)
    assert sources_of("torchattacks 3.5.1") == []
    assert sources_of(nn.Linear(2, 2)) == []


def test_a_file_in_another_encoding_has_a_text_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "# -*- coding: latin-1 -*-\nNAME = 'Größe'\ndef helper(x): return x\ndef make(network): return helper\n"
    (tmp_path / "latin_sources.py").write_text(text, encoding="latin-1")
    made = importlib.import_module("latin_sources").make
    before = sources_of(made)
    for old, new in (("return x", "return 1 - x"), ("ö", "ü")):  # which every letter of another encoding shows
        (tmp_path / "latin_sources.py").write_text(text.replace(old, new), encoding="latin-1")
        assert sources_of(made) != before


class Slotted:
    """An object whose attribute lies in a slot."""

    __slots__ = ("inner",)

    def __init__(self, inner: object) -> None:
        self.inner = inner


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.float32(0.1), np.float32(0.3)),
        (Fraction(1, 2), Fraction(1, 3)),
        (range(3), range(9)),
        ({0.1: 1}, {0.2: 1}),
        (deque([1]), deque([2])),
        (torch.sin, torch.cos),
        (np.sin, np.cos),
        (Slotted(1), Slotted(2)),
        (torch.empty(2, 3, device="meta"), torch.empty(3, 2, device="meta")),
    ],
)
def test_values_that_differ_have_other_keys(one: object, other: object) -> None:
    assert object_key([one]) != object_key([other])
    assert object_key([one]) == object_key([copy.deepcopy(one)])


def test_the_globals_that_strangers_code_names_are_part_of_its_key() -> None:
    space: dict[str, Any] = {"__name__": "a_notebook", "STRENGTH": 0.0, "OTHER": 0.0}
    source = "def make(net):\n    return lambda images: STRENGTH * images\n"
    source += "class Made:\n    def __call__(self, net):\n        return make(net)\n"
    exec(source, space)
    for thing in (space["make"], space["Made"]()):
        space |= {"STRENGTH": 0.0, "OTHER": 0.0}
        before = object_key(thing)
        space["OTHER"] = 1.0
        assert object_key(thing) == before
        space["STRENGTH"] = 1.0
        assert object_key(thing) != before


def test_surrogates_are_told_apart_by_their_answers(few: Dataset, digits_net: nn.Module, tmp_path: Path) -> None:
    sign = SimpleQueue[float]()

    class Signed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = digits_net

        def forward(self, x: Tensor) -> Tensor:
            factor = sign.get()
            sign.put(factor)
            out: Tensor = factor * self.inner(x)
            return out

    fresh = []
    for factor in (1.0, -1.0):
        sign.put(factor)
        fresh.append(hits(run(digits_net, few, surrogate=Signed(), attacks=["pgd3"])))
        assert hits(run(digits_net, few, tmp_path, surrogate=Signed(), attacks=["pgd3"])) == fresh[-1]
        sign.get()
    assert fresh[0] != fresh[1]


def test_what_a_cell_does_not_depend_on_leaves_its_result(few: Dataset, digits_net: nn.Module, tmp_path: Path) -> None:
    def measured(**changes: Any) -> int:
        run(digits_net, few, tmp_path, **{"attacks": ["clean"], "defences": ["undefended", "gaussian-noise"]} | changes)
        return (tmp_path / "out" / "journal.jsonl").read_text().count("\n")

    assert measured() == 2
    assert measured(eps=0.02, attack_label="predicted", preset="standard") == 2  # clean images are what they are
    assert measured(draws=3) == 3  # the undefended network draws nothing
