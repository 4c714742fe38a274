"""Randomness as a pure function of keys: SplitMix64, vectorised over one 64-bit key per example.

A key is a row of an int64 tensor. Whatever is drawn for an example depends on its key alone, so draws do not change
with the batch size, the device, the number of processes or an interruption. `fold` makes child keys (an example's, an
execution's, a transform's), `uniform` and `normal` read a key's stream.

Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def _int64(value: int) -> int:
    """The two's complement of `value` modulo 2**64, which is what an int64 tensor can hold."""
    value = int(value) & ((1 << 64) - 1)  # NumPy's integers are 64 bits wide at most
    return value - (1 << 64) if value >= 1 << 63 else value


_GOLDEN = _int64(0x9E3779B97F4A7C15)
_MIX_1 = _int64(0xBF58476D1CE4E5B9)
_MIX_2 = _int64(0x94D049BB133111EB)


def _shift(z: Tensor, bits: int) -> Tensor:
    """Logical right shift; torch's own copies the sign bit."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def _mix(z: Tensor) -> Tensor:
    """SplitMix64's output function; int64 products wrap, as it needs."""
    z = (z ^ _shift(z, 30)) * _MIX_1
    z = (z ^ _shift(z, 27)) * _MIX_2
    return z ^ _shift(z, 31)


def key(seed: int, device: torch.device | str | None = None) -> Tensor:
    """The root key of an integer seed: an int64 tensor of shape ()."""
    return _mix(torch.tensor(_int64(seed), device=device) + _GOLDEN)


def fold(keys: Tensor, data: Tensor | int) -> Tensor:
    """Child keys of `keys` for `data` (an index, a position, a stream), broadcast against each other."""
    data = torch.as_tensor(data, dtype=torch.int64, device=keys.device)
    return _mix(_mix(keys) + _mix(data + _GOLDEN))  # not symmetric: example 1 of seed 2 is not example 2 of seed 1


def fresh_keys(count: int, device: torch.device | str | None = None) -> Tensor:
    """`count` new keys that follow `torch.manual_seed`; the global generator advances by one draw."""
    seed = int(torch.randint(-(2**63), 2**63 - 1, ()))
    return fold(key(seed, device), torch.arange(count, device=device))


def bits(keys: Tensor, count: int) -> Tensor:
    """The first `count` outputs of each key's SplitMix64 stream: int64, shape (*keys.shape, count)."""
    steps = torch.arange(1, count + 1, device=keys.device) * _GOLDEN
    return _mix(keys.unsqueeze(-1) + steps)


def uniform(keys: Tensor, count: int) -> Tensor:
    """Uniform draws in [0, 1): float64, shape (*keys.shape, count)."""
    return _shift(bits(keys, count), 11).to(torch.float64) * 2.0**-53


def normal(keys: Tensor, shape: Sequence[int]) -> Tensor:
    """Standard normal draws by Box-Muller: float32, shape (*keys.shape, *shape)."""
    count = math.prod(shape)
    half = (count + 1) // 2
    u = uniform(keys, 2 * half)
    radius = (-2.0 * torch.log1p(-u[..., :half])).sqrt()
    angle = (2.0 * math.pi) * u[..., half:]
    z = torch.cat([radius * angle.cos(), radius * angle.sin()], dim=-1)[..., :count]
    return z.to(torch.float32).reshape(*keys.shape, *shape)


def below(u: Tensor, limit: Tensor | int) -> Tensor:
    """Turns uniform draws into integers of {0, ..., limit - 1}: int64, the shape of `u` and `limit` broadcast."""
    return torch.minimum((u * limit).long(), torch.as_tensor(limit, device=u.device) - 1)
