"""Worst cases: what is left of each example under the attack that is worst for it, luck of its draws apart."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from counteract._statistics import worst_over_draws
from counteract.evaluation.cells import Cell


def survived(cells: Sequence[Cell]) -> dict[int, Tensor]:
    """Returns by seed the share of right draws of each example under the attack that is worst for it.

    Of a defence that is known to draw that attack is chosen as `worst_over_draws` says. It is not known in records of
    earlier versions, nor where one draw judges and there is no cascade: there the least share is a lower bound. Shares
    are float64, and NaN where an example was not measured under all of them; a seed that one of them lacks is left out.
    """
    return {seed: worst([cell.correct[seed] for cell in cells], [cell.drawn.get(seed) for cell in cells])
            for seed in _seeds(cells)}  # fmt: skip


def least(cells: Sequence[Cell]) -> dict[int, Tensor]:
    """Returns by seed the least share of right draws of each example under any attack; shares are as in `survived`."""
    return {seed: _least([cell.correct[seed] for cell in cells]) for seed in _seeds(cells)}


def asked_again(cells: Sequence[Cell]) -> dict[int, Tensor]:
    """Returns by seed the examples that all draws get right, under the one attack that leaves the fewest of them.

    An attacker who may try each of its examples as often as there are draws leaves these. Of a defence that draws
    nothing it is the strongest attack's. Shares are as in `survived`.
    """
    every = [{seed: (cell.correct[seed] >= 1).double().masked_fill(cell.correct[seed].isnan(), torch.nan)
              for seed in _seeds(cells)} for cell in cells]  # fmt: skip
    return min(every, key=lambda found: sum(float(each.nanmean()) for each in found.values()), default={})


def worst(correct: Sequence[Tensor], drawn: Sequence[Tensor | None]) -> Tensor:
    """Returns the shares of right draws of each example in the worst case over attacks: float64, shape (N,).

    Args:
        correct: The shares under each attack: shape (N,), NaN where it was not measured.
        drawn: Of a defence that is known to draw the draws that were right: bool, shape (draws, N); else None.
    """
    least = _least(correct)
    draws = max(0 if each is None else len(each) for each in drawn)
    there = ~least.isnan()
    if not draws or not there.any():
        return least
    # With other parameters, under targeted attacks, the same defence may draw nothing.
    every = [c.expand(draws, -1) > 0 if d is None else d for c, d in zip(correct, drawn, strict=True)]
    return least.masked_scatter(there, worst_over_draws([each[:, there] for each in every]))


def counts_luck(cell: Cell) -> bool:
    """Returns True for a defence that draws without its draws being known: a worst case takes the least share."""
    if cell.drawn:
        return False
    partly = any(bool(((each > 0) & (each < 1)).any()) for each in cell.correct.values())
    return cell.once or cell.executions > 1 or partly


def _least(correct: Sequence[Tensor]) -> Tensor:
    """Returns the least of each example's shares, NaN where one is."""
    return torch.stack(list(correct)).amin(0)


def _seeds(cells: Sequence[Cell]) -> list[int]:
    """Returns the seeds that all cells have."""
    given = [cell.measured for cell in cells]
    return sorted(set(given[0]).intersection(*given[1:])) if given else []
