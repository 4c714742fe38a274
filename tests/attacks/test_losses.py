"""The attacks' losses against their formulas, written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from counteract.attacks.losses import TargetedDLR, counted, cross_entropy, dlr, margin, odds, of_rows, wrong

SCORES = torch.tensor([[3.0, 1.0, 0.5, -1.0], [0.0, 2.0, 4.0, 1.0]])
LABELS = torch.tensor([0, 1])

NAN, INF = float("nan"), float("inf")


def test_by_hand() -> None:
    assert margin(SCORES, LABELS).tolist() == [-2, 2]
    assert dlr(SCORES, LABELS).tolist() == pytest.approx([-2 / 2.5, 2 / 3])
    found = TargetedDLR(torch.tensor([2, 2]))(SCORES, LABELS)
    assert found.tolist() == pytest.approx([-2.5 / (3 - (0.5 - 1) / 2), 2 / (4 - (1 + 0) / 2)])
    assert odds(SCORES, LABELS).tolist() == pytest.approx([0.1192, 0.8808], abs=1e-4)
    assert wrong(SCORES, LABELS).tolist() == [0, 1]
    assert torch.allclose(cross_entropy(SCORES, LABELS), -SCORES.log_softmax(1)[range(2), LABELS])


@pytest.mark.parametrize("loss", [margin, dlr, TargetedDLR(torch.tensor([2, 2])), cross_entropy, wrong])
def test_log_probabilities_do_as_well_as_logits(loss) -> None:  # type: ignore[no-untyped-def]
    torch.testing.assert_close(loss(SCORES.log_softmax(1), LABELS), loss(SCORES, LABELS))


def test_the_loss_of_some_examples() -> None:
    for loss in (margin, TargetedDLR(torch.tensor([2, 3]))):
        whole: Tensor = loss(SCORES, LABELS)
        assert torch.equal(of_rows(loss, slice(1, 2))(SCORES[1:], LABELS[1:]), whole[1:])


def test_too_few_classes() -> None:
    with pytest.raises(ValueError, match="at least 3 classes, found 2"):
        dlr(SCORES[:, :2], LABELS)
    with pytest.raises(ValueError, match="at least 4 classes, found 3"):
        TargetedDLR(LABELS)(SCORES[:, :3], LABELS)


def test_an_answer_that_is_not_finite_counts_as_wrong_and_sure() -> None:
    scores = torch.tensor([[3.0, 1, 0, 0], [NAN, NAN, NAN, NAN], [9, NAN, 0, 0], [0, 0, -INF, 1], [INF, 0, 0, 0]])
    labels = torch.tensor([0, 0, 0, 3, 0])
    found = counted(scores.requires_grad_(), labels)
    assert torch.equal(found[0], scores[0])
    assert wrong(found, labels).tolist() == [0, 1, 1, 1, 1]
    for loss in (margin, cross_entropy, dlr, TargetedDLR(torch.full((5,), 1)), odds):
        values = loss(found, labels)
        assert values.isfinite().all()
        assert (values[1:] > values[0]).all()
    (gradient,) = torch.autograd.grad(margin(found, labels).sum(), scores)
    assert gradient[0].abs().max() == 1
    assert (gradient[1:] == 0).all()
