"""Clamping: the values of torch's, with a derivative that does not vanish at the ends."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from counteract._clamp import clamp

VALUES = [-0.5, 0.0, 0.25, 1.0, 1.5]


@pytest.mark.parametrize("ends", [(0.0, 1.0), (torch.zeros(5), torch.ones(5))])
def test_values_are_torchs_and_the_derivative_is_one_at_the_ends(ends: tuple[float | Tensor, float | Tensor]) -> None:
    x = torch.tensor(VALUES, requires_grad=True)
    found = clamp(x, *ends)
    assert found.tolist() == [0.0, 0.0, 0.25, 1.0, 1.0]
    (gradient,) = torch.autograd.grad(found.square().sum(), x, create_graph=True)
    assert gradient.tolist() == [0.0, 0.0, 0.5, 2.0, 0.0]
    (second,) = torch.autograd.grad(gradient.sum(), x)
    assert second.tolist() == [0.0, 2.0, 2.0, 2.0, 0.0]


def test_what_is_no_number_stays_so() -> None:
    assert clamp(torch.tensor([float("nan"), float("inf")]), 0, 1).isnan().tolist() == [True, False]
