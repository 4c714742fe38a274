"""Cells: which examples one network with one defence got right under one attack, by every draw.

An example that was not measured is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Cell:
    """The measurements of one network with one defence under one attack.

    Attributes:
        model: The network's label.
        attack: The attack's name.
        defence: The defence as the tables name it.
        executions: The number of executions that the defence averages.
        passes: The forward passes of one defended prediction.
        correct: By seed, for every example of the run, the share of the draws that were right: float64, shape (N,), NaN
            where it was not measured.
        drawn: By seed the draws that were right, of a defence that is known to draw: bool, shape (draws, N).
        once: True for a defence that draws, and was judged by a single draw outside of a cascade.
        seconds: The time that all of these predictions took.
        undefended_seconds: The time that the undefended network takes for as many, in the same process.
        unusable: The number of answers that were not finite, and so count as wrong.
        attacked: The number of examples for which the attack's forward passes were counted, seed by seed.
        attack_passes: The forward passes that it took for all of them.
        tried: The number of its results, which in a cascade are fewer than the examples, seed by seed.
        projected: The number of those that lay outside of the threat model and were projected onto it.
        said: Its own warnings, the keys of a dict.
    """

    model: str
    attack: str
    defence: str
    executions: int = 0
    passes: int = 0
    correct: dict[int, Tensor] = field(default_factory=dict)
    drawn: dict[int, Tensor] = field(default_factory=dict)
    once: bool = False
    seconds: float = 0.0
    undefended_seconds: float = 0.0
    unusable: int = 0
    attacked: int = 0
    attack_passes: float = 0.0
    tried: int = 0
    projected: int = 0
    said: dict[str, None] = field(default_factory=dict)

    def add(self, seed: int, correct: Tensor, seconds: float, undefended_seconds: float) -> None:
        """Adds one seed's measurement of every example: bool, or shares of draws with NaN for what is not measured."""
        self.correct[seed] = correct.double()
        self.seconds += seconds
        self.undefended_seconds += undefended_seconds

    @property
    def measured(self) -> dict[int, Tensor]:
        """The seeds that have an example or more."""
        return {seed: shares for seed, shares in sorted(self.correct.items()) if not shares.isnan().all()}


def in_all(shares: Sequence[Tensor]) -> list[Tensor]:
    """Returns each of these at the examples that are measured in all of them; shape (n,), and n may be 0."""
    if not shares:
        return []
    there = ~torch.stack(list(shares)).isnan().any(0)
    return [each[there] for each in shares]
