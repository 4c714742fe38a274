"""Shares of cells, alone and in common."""

from __future__ import annotations

import torch
from evaluation.shares import NAN

from counteract.evaluation.cells import Cell, in_all


def test_what_is_added_becomes_shares() -> None:
    made = Cell("net", "pgd10", "d")
    made.add(1, torch.tensor([True, False]), 1.0, 0.5)
    made.add(0, torch.tensor([NAN, NAN]), 1.0, 0.5)
    assert made.correct[1].dtype == torch.float64
    assert list(made.measured) == [1]
    assert (made.seconds, made.undefended_seconds) == (2.0, 1.0)


def test_only_what_is_measured_in_all_is_combined() -> None:
    first, second = torch.tensor([1.0, NAN, 0.0, 1.0]), torch.tensor([0.0, 1.0, NAN, 1.0])
    assert [found.tolist() for found in in_all([first, second])] == [[1.0, 1.0], [0.0, 1.0]]
    assert in_all([]) == []
