"""Keys of examples, of who attacks them and of the defences that judge them: every random draw is made from these."""

from __future__ import annotations

from torch import Tensor

from counteract import _random


def example_keys(seed: int, index: Tensor) -> Tensor:
    """One key for each example's index, from which everything that is random about it is drawn."""
    return _random.fold(_random.key(seed, index.device), index)


def attack_keys(keys: Tensor) -> Tensor:
    """The attacker's keys of examples' keys, independent of the defender's."""
    return _random.fold(keys, 0)


def defence_keys(keys: Tensor, draw: int = 0) -> Tensor:
    """The defender's keys of examples' keys for one of the draws that judge, independent of the attacker's."""
    return _random.fold(keys, 1 + draw)
