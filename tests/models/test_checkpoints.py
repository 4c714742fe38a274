"""Reading checkpoints safely, and giving their weights the names that a network uses."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import TinyNet
from safetensors.torch import save_file
from torch import nn

from counteract._errors import UserError
from counteract.models.checkpoints import check_complete, fit_names, load_weights, read_checkpoint, state_in


class Wrapper(nn.Module):
    """A network whose weights' names begin with `model.` and contain `module.`."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.ModuleDict({"submodule": nn.Linear(3, 2)})
        self.head = nn.Linear(2, 2)


class BaseModel(nn.Module):
    """A network whose weights' names contain `model.`, but not in front."""

    def __init__(self) -> None:
        super().__init__()
        self.base_model = nn.Linear(3, 2)
        self.submodule = nn.Linear(2, 2)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("old_format", [False, True])
def test_numbers_and_arrays_of_numpy_are_read(tmp_path: Path, old_format: bool) -> None:
    path = tmp_path / "net.pt"
    content = {
        "state_dict": {"weight": torch.ones(2)},
        "best": np.float64(0.5),
        "losses": np.arange(3.0, dtype=np.float32),
        "epoch": np.int64(3),
    }
    torch.save(content, path, _use_new_zipfile_serialization=not old_format)
    found = read_checkpoint(path)
    assert found["best"] == 0.5
    assert found["losses"].tolist() == [0, 1, 2]
    assert torch.equal(state_in(found, path)["weight"], torch.ones(2))


def test_numpy_pickled_by_its_old_names_is_read(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save({"best": np.float64(0.5)}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    assert b"numpy._core.multiarray" in content or b"numpy.core.multiarray" in content
    path.write_bytes(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert read_checkpoint(path)["best"] == 0.5


def test_anything_else_is_refused_unless_trusted(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save({"weight": torch.ones(2), "args": argparse.Namespace(lr=0.1)}, path)
    with pytest.raises(UserError, match=r"they hold argparse\.Namespace.*trust=True"):
        read_checkpoint(path)
    assert read_checkpoint(path, trust=True)["args"].lr == 0.1


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('it ran')",)


def test_code_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save({"weight": Bomb()}, path)
    with pytest.raises(UserError, match="refused"):
        read_checkpoint(path)


def test_a_missing_file_a_page_and_a_truncated_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    with pytest.raises(UserError, match="is not a file"):
        read_checkpoint(path)
    path.write_text("<html><title>Sign in</title></html>")
    with pytest.raises(UserError, match=r"web page \(Sign in\).*delete it"):
        read_checkpoint(path)
    torch.save({"weight": torch.ones(2000)}, path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UserError, match="cut short"):
        read_checkpoint(path)
    torch.save({"weight": torch.ones(2000)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UserError, match="cannot be read"):
        read_checkpoint(path)


@pytest.mark.parametrize("wrap", [(), ("state_dict",), ("last", "state_dict"), ("model",), ("net",)])
def test_the_weights_are_found_where_scripts_put_them(tmp_path: Path, wrap: tuple[str, ...]) -> None:
    content: dict[str, Any] = {"weight": torch.ones(2)}
    for key in reversed(wrap):
        content = {key: content, "best": {"weight": torch.zeros(2)}}
    assert torch.equal(state_in(content, tmp_path)["weight"], torch.ones(2))


@pytest.mark.parametrize("other", ["state_dict_ema", "best", "teacher"])
def test_weights_of_several_networks_are_refused(tmp_path: Path, other: str) -> None:
    path, network = tmp_path / "net.pt", nn.Linear(2, 3)
    state = network.state_dict()
    content = {"state_dict": state, "epoch": 3, "optimizer": torch.optim.Adam(network.parameters()).state_dict()}
    torch.save(content, path)
    load_weights(network, path)
    average = {f"module.{name}": value + 1 for name, value in state.items()}
    for rival in (average, {"model": average}):
        torch.save({**content, other: rival}, path)
        with pytest.raises(UserError, match=f"those of several networks, under state_dict, {other}; save the ones"):
            load_weights(network, path)


def test_a_checkpoint_without_weights_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no state_dict; found keys epoch, optimizer"):
        state_in({"epoch": 1, "optimizer": {}}, tmp_path)
    with pytest.raises(UserError, match="found <class 'list'>"):
        state_in([1], tmp_path)


@pytest.mark.parametrize("make", [TinyNet, Wrapper, BaseModel])
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module.model."])
def test_prefixes_are_removed_and_own_names_are_kept(make: type[nn.Module], prefix: str) -> None:
    network = make()
    state = network.state_dict()
    assert same(fit_names({prefix + name: value for name, value in state.items()}, network), dict(state))


def test_a_prefix_is_put_in_front_where_the_network_has_one() -> None:
    inner = nn.Linear(3, 2)
    network = nn.Sequential()
    network.add_module("model", inner)
    assert same(fit_names(inner.state_dict(), network), dict(network.state_dict()))


def test_missing_weights_are_named_and_missing_constants_are_not(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(3, 2))
    network.register_buffer("mu", torch.zeros(3))
    state = dict(network.state_dict())
    del state["mu"]
    check_complete(network, state, tmp_path)
    del state["0.bias"]
    with pytest.raises(UserError, match=r"1 of its tensors are missing, 0\.bias first"):
        check_complete(network, state, tmp_path)


def test_loading_takes_torch_and_safetensors_files(tmp_path: Path) -> None:
    source = TinyNet()
    for parameter in source.parameters():
        parameter.data += 1
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in source.state_dict().items()}}, tmp_path / "a.pt"
    )
    save_file(source.state_dict(), tmp_path / "a.safetensors")
    for name in ("a.pt", "a.safetensors"):
        network = TinyNet()
        load_weights(network, tmp_path / name)
        assert same(dict(network.state_dict()), dict(source.state_dict()))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save(TinyNet(classes=7).state_dict(), path)
    with pytest.raises(UserError, match=r"do not fit the TinyNet.*size mismatch"):
        load_weights(TinyNet(), path)
    torch.save({name: value for name, value in TinyNet().state_dict().items() if name != "head.bias"}, path)
    with pytest.raises(UserError, match=r"do not fit the TinyNet.*head\.bias"):
        load_weights(TinyNet(), path)
    torch.save(TinyNet().state_dict() | {"extra.weight": torch.ones(1)}, path)
    with pytest.raises(UserError, match=r"it has no extra\.weight"):
        load_weights(TinyNet(), path)


class Call:
    """A thing that unpickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux bounds memory")
@pytest.mark.parametrize("old_format", [False, True])
def test_a_checkpoint_that_allocates_is_refused(tmp_path: Path, old_format: bool) -> None:
    path = tmp_path / "net.pt"
    for size in (4 * 2**30, 10**15):
        torch.save({"x": Call(bytearray, size)}, path, _use_new_zipfile_serialization=not old_format)
        with pytest.raises(UserError, match="take far more memory than the file has bytes"):
            read_checkpoint(path)


@pytest.mark.parametrize("key", [0, ("a", 1), None, b"weight"])
def test_keys_that_are_no_names_are_named(tmp_path: Path, key: object) -> None:
    path = tmp_path / "net.pt"
    torch.save({key: torch.ones(2), "weight": torch.ones(2)}, path)
    with pytest.raises(UserError, match=f"its keys must be names of tensors, found <class '{type(key).__name__}'>"):
        load_weights(TinyNet(), path)


def test_complex_weights_do_not_lose_a_part_silently(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save({name: value.to(torch.complex64) for name, value in TinyNet().state_dict().items()}, path)
    with pytest.raises(UserError, match=r"do not fit the TinyNet: \S+ is complex"):
        load_weights(TinyNet(), path)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("raise KeyError('layer')", "KeyError: 'layer'|cannot be read: 'layer'"),
    ],
)
def test_what_trusted_code_raises_is_one_line(tmp_path: Path, code: str, words: str) -> None:
    path = tmp_path / "net.pt"
    torch.save({"x": Call(exec, code)}, path)
    with pytest.raises(UserError, match=words):
        read_checkpoint(path, trust=True)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02.",
        b"\x80\x02h\x05.",
        b"\x80\x02\x85\x85\x86R.",
        b"\x80\x02K\x01Q.",
    ],
)
def test_pickles_that_nobody_wrote_are_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.pt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"^weights .*net\.pt (cannot|are refused)"):
        read_checkpoint(path)
