"""Keyed randomness against SplitMix64 in plain Python integers, and against what a uniform draw should look like."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from counteract import _random

MASK = (1 << 64) - 1


def splitmix64(state: int, count: int) -> list[int]:
    """The reference: a straightforward transcription of the published generator."""
    found = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        found.append(z ^ (z >> 31))
    return found


@pytest.mark.parametrize("state", [0, 1, 1234567, MASK, 1 << 63])
def test_bits_are_splitmix64(state: int) -> None:
    signed = state - (1 << 64) if state >> 63 else state
    assert [v & MASK for v in _random.bits(torch.tensor(signed), 20).tolist()] == splitmix64(state, 20)


def test_published_vector() -> None:
    assert _random.bits(torch.tensor(1234567), 2).tolist() == [6457827717110365317, 3203168211198807973]


def test_uniform_is_uniform_and_in_range() -> None:
    u = _random.uniform(_random.fold(_random.key(0), torch.arange(2000)), 50)
    assert u.dtype == torch.float64
    assert u.min() >= 0
    assert u.max() < 1
    histogram = torch.histc(u.float(), 20, 0, 1) / u.numel()
    assert (histogram - 0.05).abs().max() < 0.004  # five standard deviations of a cell
    assert torch.corrcoef(u.T)[~torch.eye(50, dtype=torch.bool)].abs().max() < 0.12


def test_keys_differ_in_every_argument() -> None:
    keys = torch.stack(
        [_random.fold(_random.fold(_random.key(seed), torch.arange(100)), n) for seed in range(5) for n in range(5)]
    )
    assert len(keys.unique()) == keys.numel()


def test_a_key_alone_decides() -> None:
    keys = _random.fold(_random.key(3), torch.arange(10))
    assert torch.equal(_random.normal(keys, (3, 5))[[7, 2]], _random.normal(keys[[7, 2]], (3, 5)))


def test_normal_has_the_moments_of_a_normal() -> None:
    z = _random.normal(_random.fold(_random.key(0), torch.arange(100)), (1001,)).double()
    assert z.shape == (100, 1001)
    for moment, expected in ((1, 0.0), (2, 1.0), (3, 0.0), (4, 3.0)):
        assert abs((z**moment).mean() - expected) < 0.1


def test_below_covers_its_range_and_no_more() -> None:
    u = torch.tensor([0.0, 0.2, 0.5, 0.999999, 1 - 2**-53], dtype=torch.float64)
    assert _random.below(u, 4).tolist() == [0, 0, 2, 3, 3]
    assert _random.below(u, torch.tensor([1, 5, 2, 10, 7])).tolist() == [0, 1, 1, 9, 6]


def test_fresh_keys_follow_manual_seed() -> None:
    torch.manual_seed(5)
    first, second = _random.fresh_keys(3), _random.fresh_keys(3)
    torch.manual_seed(5)
    assert torch.equal(first, _random.fresh_keys(3))
    assert not torch.equal(first, second)


def test_numpys_integers_are_seeds() -> None:
    for seed in (3, -1, 2**63 - 1):
        assert torch.equal(_random.key(np.int64(seed)), _random.key(seed))  # type: ignore[arg-type]
