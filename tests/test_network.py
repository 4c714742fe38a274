"""Somebody else's network is used without a trace, and questions about it are answered."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from networks import TinyNet
from torch import Tensor, nn

from counteract._errors import UserError
from counteract._network import (
    Asked,
    ask,
    borrowed,
    check_model,
    device_of,
    dtype_of,
    evaluating,
    parameter_dtype,
    to_eval,
)


def half_frozen() -> TinyNet:
    """A network in training whose BatchNorm is frozen, and one bias."""
    net = TinyNet().train()
    net.norm.eval()
    net.head.bias.requires_grad_(False)
    return net


def state(net: nn.Module) -> list[bool]:
    return [module.training for module in net.modules()] + [each.requires_grad for each in net.parameters()]


def test_a_borrowed_network_is_in_eval_mode_and_frozen_and_goes_back_as_it_was(x: Tensor) -> None:
    net = half_frozen()
    before, buffers = state(net), {name: value.clone() for name, value in net.named_buffers()}
    with borrowed(net):
        assert not any(state(net))
        net(x)
    assert state(net) == before
    assert all(torch.equal(value, buffers[name]) for name, value in net.named_buffers())


def test_it_goes_back_after_an_error_too() -> None:
    net = half_frozen()
    before = state(net)
    with pytest.raises(KeyError), borrowed(net):
        raise KeyError
    assert state(net) == before


def test_borrowing_inside_of_borrowing_thaws_nothing() -> None:
    net = half_frozen()
    before = state(net)
    with borrowed(net):
        with borrowed(net):
            pass
        assert not any(state(net))
    assert state(net) == before


def test_a_network_that_torch_exported_has_one_mode_alone_or_in_another(x: Tensor) -> None:
    batch = torch.export.Dim("batch", max=64)
    exported = torch.export.export(TinyNet().eval(), (x,), dynamic_shapes=({0: batch},)).module()
    with pytest.raises(NotImplementedError):
        exported.eval()
    for net in (exported, nn.Sequential(nn.Dropout(1.0), exported)):
        with borrowed(net):
            assert torch.equal(net(x), TinyNet().eval()(x))
        assert to_eval(net) is net
        assert torch.equal(net(x), TinyNet().eval()(x))


def test_dtype_and_device_are_those_of_the_parameters() -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        assert parameter_dtype(TinyNet().to(dtype)) == dtype
        assert dtype_of(TinyNet().to(dtype)) == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert parameter_dtype(nn.ReLU()) == dtype_of(nn.ReLU()) == torch.float32
    assert device_of(TinyNet().to("meta")) == torch.device("meta")
    assert device_of(nn.BatchNorm2d(2, affine=False)) == torch.device("cpu")
    assert device_of(nn.ReLU()) is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_single_number_of_another_dtype_is_not_the_networks(x: Tensor, dtype: torch.dtype, shape: Any) -> None:
    class Tempered(nn.Module):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.temperature = nn.Parameter(torch.full(shape, 2.0, dtype=torch.float64))
            self.network = network

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.network(x) / self.temperature
            return out

    tempered = Tempered(TinyNet().eval().to(dtype))
    assert parameter_dtype(tempered) == dtype
    torch.testing.assert_close(ask(tempered, x).float(), TinyNet().eval()(x) / 2, rtol=0.05, atol=0.1)
    assert parameter_dtype(Tempered(nn.Flatten())) == torch.float64


class Writing(TinyNet):
    """A network that writes into its input, and returns a dict."""

    def forward(self, x: Tensor) -> Tensor:
        return {"logits": super().forward(x.sub_(0.5))}  # type: ignore[return-value]


def test_a_network_gets_a_copy_and_what_comes_back_are_logits(x: Tensor) -> None:
    before, expected = x.clone(), TinyNet().eval()(x - 0.5)
    for asked in (lambda images: ask(Writing().eval(), images), Asked(Writing().eval())):
        assert torch.equal(asked(x), expected)
        assert torch.equal(x, before)
        points = x.clone().requires_grad_()  # a leaf, which nobody may write into
        (gradient,) = torch.autograd.grad(asked(points).sum(), points)
        assert torch.equal(points, x)
        assert gradient.abs().max() > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_images_are_converted_to_the_networks_dtype_and_answers_back(x: Tensor, dtype: torch.dtype) -> None:
    found = ask(TinyNet().eval().to(dtype), x)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(found.float(), TinyNet().eval()(x), rtol=0.05, atol=0.2)
    points = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(ask(TinyNet().eval().to(dtype), points).sum(), points)
    assert gradient.dtype == torch.float32


def test_keys_are_passed_to_a_network_that_takes_them(x: Tensor) -> None:
    class Keyed(TinyNet):
        def forward(self, x: Tensor, keys: Tensor | None = None) -> Tensor:
            assert keys is not None
            return super().forward(x) + keys.unsqueeze(1)

    keys = torch.arange(len(x))
    assert torch.equal(ask(Keyed().eval(), x, keys), TinyNet().eval()(x) + keys.unsqueeze(1))


def test_an_answer_without_logits_is_said_of_the_network_by_its_name(x: Tensor) -> None:
    with pytest.raises(UserError, match="model mine returns one number for each image"):
        ask(nn.Sequential(TinyNet(1)).eval(), x, name="model mine")
    with pytest.raises(UserError, match=r"^model returns one number for each image"):
        Asked(TinyNet(1).eval())(x)


def test_something_else_is_no_network() -> None:
    check_model(TinyNet())
    with pytest.raises(UserError, match=r"network must be a torch\.nn\.Module .*, found dict .*from_art\(classifier\)"):
        check_model({}, "network")


@pytest.mark.parametrize("use", [borrowed, evaluating])
def test_the_last_of_several_borrowers_puts_it_back(use: Any) -> None:
    net = half_frozen()
    before = state(net)
    first, second, third = use(net), use(net), use(net.norm)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not any(module.training for module in net.modules())
    third.__enter__()
    second.__exit__(None, None, None)
    assert state(net) == before if use is evaluating else net.training
    third.__exit__(None, None, None)
    assert state(net) == before


def test_threads_that_borrow_one_network_compute_in_eval_mode(x: Tensor) -> None:
    net = half_frozen()
    before, buffers = state(net), [value.clone() for value in net.buffers()]
    with borrowed(net):
        expected = net(x)

    def use(number: int) -> bool:
        with (borrowed if number % 2 else evaluating)(net), torch.no_grad():
            return torch.equal(net(x), expected) and not any(module.training for module in net.modules())

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(use, range(200)))
    assert state(net) == before
    assert all(torch.equal(value, old) for value, old in zip(net.buffers(), buffers, strict=True))


def test_a_network_that_is_evaluated_keeps_its_parameters() -> None:
    net = half_frozen()
    before = state(net)
    with evaluating(net):
        assert [parameter.requires_grad for parameter in net.parameters()] == before[4:]
        assert not any(module.training for module in net.modules())
    assert state(net) == before


class Trained(nn.Module):
    """A network with methods `train` and `eval` that are its own."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def train(self, epochs: int = 10) -> None:  # type: ignore[override]
        raise AssertionError(f"trained for {epochs} epochs")

    def eval(self, loader: object) -> float:  # type: ignore[override]
        raise AssertionError(f"measured on {loader}")

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(x)  # type: ignore[no-any-return]


@pytest.mark.parametrize("wrap", [lambda net: net, lambda net: nn.Sequential(net)])
def test_a_network_that_trains_itself_is_evaluated(x: Tensor, wrap: Callable[[nn.Module], nn.Module]) -> None:
    net = wrap(Trained())
    with borrowed(net):
        assert torch.equal(net(x), x)
    assert all(module.training for module in net.modules())


class Hiding(nn.Module):
    """A network with others that PyTorch does not know of."""

    def __init__(self, hidden: object) -> None:
        super().__init__()
        self.hidden = hidden


@pytest.mark.parametrize(
    "hide", [lambda net: [net], lambda net: {"a": (net,)}, lambda net: lambda x: net(x), lambda net: partial(net)]
)
def test_hidden_networks_are_borrowed_too(hide: Callable[[nn.Module], object]) -> None:
    inner = nn.Sequential(nn.Linear(2, 2))
    for thing in (Hiding(hide(inner)), SimpleNamespace(defence=hide(inner))):
        with evaluating(thing):
            assert not any(module.training for module in inner.modules())
        assert all(module.training for module in inner.modules())
    with borrowed(Hiding(hide(inner))):
        assert not any(each.requires_grad for each in inner.parameters())
    assert all(each.requires_grad for each in inner.parameters())


def test_a_network_that_cannot_be_put_into_eval_mode_is_left_alone() -> None:
    class Stubborn(TinyNet):
        def train(self, mode: bool = True) -> Stubborn:
            if not mode:
                raise KeyError
            return super().train(mode)

    net = Stubborn().train()
    for _ in range(2):
        with pytest.raises(KeyError), borrowed(net):
            pass
    assert all(state(net))


class Merging(nn.Linear):
    """A layer with a small addition, which it merges into its weight in eval mode, as LoRA's do."""

    def __init__(self) -> None:
        super().__init__(3, 3)
        self.weight.requires_grad_(False)
        self.addition = nn.Parameter(torch.ones(3, 3))
        self.frozen = nn.Dropout().train(False)
        self.merged = False

    def train(self, mode: bool = True) -> Merging:
        super().train(mode)
        if self.merged is mode:
            self.weight.data += self.addition.data * (-1 if mode else 1)
            self.merged = not mode
        return self

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight + (0 if self.merged else self.addition))


def test_what_a_module_does_in_eval_mode_it_undoes() -> None:
    merging, other = Merging(), nn.Dropout()
    net = nn.Sequential(merging, other)
    merging.frozen.eval()
    weight, x = merging.weight.clone(), torch.rand(2, 3)
    with borrowed(net):
        assert merging.merged
        with borrowed(net):
            pass
        assert merging.merged
    assert [module.training for module in (net, merging, merging.frozen, other)] == [True, True, False, True]
    torch.testing.assert_close(merging.weight, weight)  # parted again
    net(x).sum().backward()
    assert merging.addition.grad is not None
