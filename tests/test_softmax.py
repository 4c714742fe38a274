"""Logarithms of probabilities against those in double precision, and what is not a softmax."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from counteract._softmax import log_probabilities

LOGITS = torch.tensor([[120.0, 0.0, -50.0], [1.0, 900.0, 3.0], [0.1, 0.2, 0.3]])

SOFTMAXES: dict[str, Callable[[Tensor], Tensor]] = {
    "module": nn.Softmax(dim=1),
    "function": lambda x: F.softmax(x, dim=-1),
    "torch": lambda x: torch.softmax(input=x, dim=1),
    "method": lambda x: x.softmax(1),
    "special": lambda x: torch.special.softmax(x, 1),
    "no-op behind it": lambda x: x.softmax(1).float(),
}


@pytest.mark.parametrize("name", SOFTMAXES)
def test_the_logarithms_of_a_softmax_and_their_gradients_are_exact(name: str) -> None:
    points, precise = LOGITS.clone().requires_grad_(), LOGITS.double().requires_grad_()
    logs, probabilities = log_probabilities(lambda: SOFTMAXES[name](points))
    expected = precise.log_softmax(1)
    assert torch.equal(probabilities, points.softmax(1))
    torch.testing.assert_close(logs.double(), expected)
    weights = torch.tensor([0.3, -1.0, 2.0])
    (gradient,) = torch.autograd.grad((logs * weights).sum(), points)
    (right,) = torch.autograd.grad((expected * weights).sum(), precise)
    torch.testing.assert_close(gradient.double(), right)


def test_what_was_made_of_a_softmax_is_not_taken_for_one() -> None:
    def averaged() -> Tensor:
        return (LOGITS.softmax(1) + LOGITS.flip(1).softmax(1)) / 2

    def written_over() -> Tensor:
        return LOGITS.softmax(1).clamp_(min=0.2)

    def from_logits_that_are_gone() -> Tensor:
        logits = LOGITS.clone()
        probabilities = logits.softmax(1)
        logits.zero_()
        return probabilities

    for answer in (averaged, written_over, from_logits_that_are_gone, lambda: LOGITS.softmax(0)):
        torch.testing.assert_close(log_probabilities(answer)[0].exp(), answer())


def test_in_inference_mode_they_are_finite() -> None:
    with torch.inference_mode():
        assert log_probabilities(lambda: LOGITS.softmax(1))[0].isfinite().all()
