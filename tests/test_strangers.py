"""Somebody else's code: whatever it raises names it in one line, and what it changes in the process is put back."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import FailingBackward
from torch import Tensor, nn

from counteract import _strangers
from counteract._errors import StrangersError, UserError
from counteract._interrupts import Interrupt, telling_interrupts
from counteract._strangers import among_strangers, strangers_code
from counteract.models.resnet import ResNet, resnet8


class Base(BaseException):
    """An exception that is no Exception."""


class MuteError(Exception):
    """An exception that cannot say anything."""

    def __str__(self) -> str:
        raise RuntimeError("no message")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("layer"), "KeyError: 'layer'"),
        (ValueError("a\n  b"), "ValueError: a b"),
        (SystemExit(0), "SystemExit: 0"),
        (Base("b"), "Base: b"),
        (MuteError(), "MuteError"),
        (MemoryError(), "MemoryError"),
        (GeneratorExit(), "GeneratorExit"),
        (StopIteration(3), "StopIteration: 3"),
        (RecursionError("deep"), "RecursionError: deep"),
    ],
)
def test_whatever_is_raised_names_whose_code_it_was(error: BaseException, words: str) -> None:
    with pytest.raises(StrangersError) as found, strangers_code("model own:make"):
        raise error
    assert str(found.value) == f"model own:make failed with {words}"
    assert found.value.__cause__ is error


def test_a_mistake_that_is_explained_already_stays_as_it_is() -> None:
    with pytest.raises(UserError, match=r"^eps must be positive$"), strangers_code("model"):
        raise UserError("eps must be positive")


@pytest.mark.usefixtures("heard")
def test_an_interruption_passes_and_a_keyboard_interrupt_of_the_code_does_not() -> None:
    with pytest.raises(KeyboardInterrupt), strangers_code("model"):
        raise KeyboardInterrupt
    with telling_interrupts():
        with pytest.raises(Interrupt), strangers_code("model"):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(StrangersError, match="model failed with KeyboardInterrupt"), strangers_code("model"):
            raise KeyboardInterrupt


def test_the_process_is_left_as_it_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with strangers_code("model"):
        os.chdir("/")
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
    assert Path.cwd() == tmp_path
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert torch.is_grad_enabled()
    assert torch.zeros(1).dtype == torch.float32
    assert torch.zeros(1).device.type == "cpu"


def test_a_folder_that_is_gone_is_not_gone_back_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with strangers_code("model"):
        pass
    monkeypatch.chdir(tmp_path)


class Failing(nn.Module):
    """A network that raises, from inside of another."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.inner(x)
        return found

    def __repr__(self) -> str:
        raise KeyError("repr")


def backward() -> None:
    FailingBackward.apply(torch.ones(1, requires_grad=True), "gradient").backward()


@pytest.mark.parametrize("fail", [lambda network: network(torch.zeros(1, 5)), repr, lambda _: backward()])
def test_of_code_among_strangers_theirs_is_named(fail: Callable[[nn.Module], object]) -> None:
    network = Failing()
    with pytest.raises(StrangersError, match=r"^model a failed with "), among_strangers({"model a": network}):
        fail(network)


def test_of_several_the_one_is_named_whose_part_it_was() -> None:
    network, other = Failing(), nn.Sequential(nn.Linear(7, 2))
    defence = nn.Sequential(network, nn.Softmax(1))
    strangers: dict[str, object] = {"defence": [defence], "model a": network, "model b": other}
    with pytest.raises(StrangersError, match=r"^model a failed with RuntimeError"), among_strangers(strangers):
        defence(torch.zeros(1, 5))
    with pytest.raises(StrangersError, match=r"^model b failed"), among_strangers(strangers):
        other(torch.zeros(1, 5))
    either = among_strangers({"model a": Failing(), "model b": other})
    with pytest.raises(StrangersError, match=r"^model a or model b failed"), either:
        backward()


def ours(x: int) -> None:
    """Code of the package itself."""
    code = compile("def fail(x): return 1 // x", "of_ours.py", "exec")
    space: dict[str, Any] = {"__name__": "counteract.attacks"}
    exec(code, space)
    space["fail"](x)


def test_our_own_mistakes_are_not_blamed_on_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_strangers, "_INSTALLED", (*_strangers._INSTALLED, str(Path(__file__).parent)))
    with pytest.raises(ZeroDivisionError), among_strangers({"model a": Failing()}):
        ours(0)
    network: ResNet = resnet8(num_classes=3, mean=(0, 0, 0), std=(1, 1, 1), width=2)
    with pytest.raises(RuntimeError, match="size of tensor"), among_strangers({"model ours": network}):
        network(torch.zeros(1, 2, 8, 8))


def test_the_cause_of_an_error_tells_whose_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_strangers, "_INSTALLED", (*_strangers._INSTALLED, str(Path(__file__).parent)))
    network = Failing()

    def stops() -> None:
        try:
            repr(network)
        except KeyError as error:
            raise RuntimeError("generator raised StopIteration") from error

    with (
        pytest.raises(StrangersError, match=r"^model a failed with RuntimeError"),
        among_strangers({"model a": network}),
    ):
        stops()


def test_a_network_whose_constructor_did_not_finish_is_named() -> None:
    network = nn.Module.__new__(Failing)
    named = among_strangers({"model a": network})
    with pytest.raises(StrangersError, match=r"^model a failed with AttributeError"), named:
        network(torch.zeros(1))
