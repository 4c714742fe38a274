"""The precision in which networks compute, and what is around them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from counteract._answers import logits_in

Precision = Literal["float32", "bf16"]


class _InBfloat16(nn.Module):
    """A network whose layers compute in bfloat16, where autocast has them do so; its images and logits stay float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.training = getattr(network, "training", False)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the logits, float32."""
        with torch.autocast(x.device.type, torch.bfloat16):
            answer = self.network(x)
        return logits_in(answer, len(x))

    def __getattr__(self, name: str) -> Any:
        """Finds the network's layers, too, which a stranger's defence may want."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            layers: dict[str, nn.Module] = vars(super().__getattr__("network"))["_modules"]
            if name not in layers:
                raise
            return layers[name]


def in_precision(network: nn.Module, precision: Precision) -> nn.Module:
    """The network, computing in the precision that is wanted; it shares its weights with the one given."""
    return network if precision == "float32" else _InBfloat16(network)


def at_least_float32(values: Tensor) -> Tensor:
    """Values as they are in double precision, else in float32: what is made of half-precise logits is not to be."""
    return values if values.dtype == torch.float64 else values.float()


def scale_gradients(images: Tensor, logits: Tensor) -> None:
    """Keeps gradients on their way through a network in float16 at a size that it holds: what is below 6e-8 is zero.

    A sure network's are. Those of an image's logits are divided by the largest of them, and those of its pixels
    multiplied by it. A pass that is to be differentiated itself leaves them alone, and so does every one after it.

    Source: Micikevicius et al., "Mixed precision training", ICLR 2018 (loss scaling).

    Args:
        images: What the network was given, float32, shape (N, C, H, W); no leaf of the graph.
        logits: What it returned for them, float32, shape (N, classes).
    """
    largest = torch.ones(len(logits), 1, device=logits.device)
    plain = True

    def divide(gradient: Tensor) -> Tensor:
        nonlocal largest, plain
        plain = plain and not torch.is_grad_enabled()
        found = gradient.abs().amax(1, keepdim=True)
        largest = torch.where(plain & (found > 0) & found.isfinite(), found, torch.ones_like(found))
        return gradient / largest if plain else gradient

    def multiply(gradient: Tensor) -> Tensor:
        return gradient * largest.view(-1, 1, 1, 1) if plain else gradient

    logits.register_hook(divide)
    images.register_hook(multiply)


class _Kept(threading.local):
    """The autocast that is kept from arithmetic in this thread: its kind of device and its dtype."""

    autocast: tuple[str, torch.dtype] | None = None


_KEPT = _Kept()


@contextmanager
def without_autocast(device: torch.device) -> Iterator[None]:
    """Keeps a caller's autocast from arithmetic that is no network; networks in it have it by `with_autocast`."""
    kind = device.type
    if kind == "meta" or not torch.is_autocast_enabled(kind):
        yield
        return
    before, _KEPT.autocast = _KEPT.autocast, (kind, torch.get_autocast_dtype(kind))
    try:
        with torch.autocast(kind, enabled=False):
            yield
    finally:
        _KEPT.autocast = before


@contextmanager
def with_autocast() -> Iterator[None]:
    """Gives a network the caller's autocast that `without_autocast` keeps from what is around it."""
    kept = _KEPT.autocast
    if kept is None:
        yield
        return
    _KEPT.autocast = None
    try:
        with torch.autocast(*kept):
            yield
    finally:
        _KEPT.autocast = kept
