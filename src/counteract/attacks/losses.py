"""Losses that attacks maximise: of each example by itself, of logits or log-probabilities alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from counteract._errors import UserError

Loss = Callable[[Tensor, Tensor], Tensor]
"""A loss: from scores, shape (N, classes), and labels, int64, shape (N,), to one loss an example, shape (N,)."""

_TINY = 1e-12

_SURE = 100.0
"""The logit by which a class is favoured beyond any doubt."""


def counted(scores: Tensor, labels: Tensor) -> Tensor:
    """Scores as they count: an answer that is not finite is wrong, and as sure of that as an answer can be.

    Without a gradient, which such an answer has none of.
    """
    wrong = torch.zeros_like(scores).scatter_(1, labels.unsqueeze(1), -_SURE)
    return torch.where(scores.isfinite().all(1, keepdim=True), scores, wrong)


def cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """The cross-entropy to the label."""
    return F.cross_entropy(scores, labels, reduction="none")


def margin(scores: Tensor, labels: Tensor) -> Tensor:
    """The lead of the best other class over the label: positive where the label is not the prediction.

    Unlike the cross-entropy's, its gradient does not vanish where the network is sure.

    Source: Carlini and Wagner, "Towards evaluating the robustness of neural networks", 2017, the loss f_6.
    """
    return _best_other(scores, labels) - _of(scores, labels)


def dlr(scores: Tensor, labels: Tensor) -> Tensor:
    """The margin in units of the distance between the first and the third class, so that scaling logits is no defence.

    Source: Croce and Hein, "Reliable evaluation of adversarial robustness ...", ICML 2020, the DLR loss.

    Raises:
        UserError: (a ValueError) there are fewer than three classes.
    """
    _check_classes(scores, 3)
    top = scores.topk(3, dim=1).values
    return margin(scores, labels) / (top[:, 0] - top[:, 2] + _TINY)


@dataclass(frozen=True)
class TargetedDLR:
    """The same towards one other class: see `dlr`, of which this is the targeted form.

    Attributes:
        targets: The class to reach for each example, int64, shape (N,).
    """

    targets: Tensor

    def __call__(self, scores: Tensor, labels: Tensor) -> Tensor:
        """The loss.

        Raises:
            UserError: (a ValueError) there are fewer than four classes.
        """
        _check_classes(scores, 4)
        top = scores.topk(4, dim=1).values
        return (_of(scores, self.targets) - _of(scores, labels)) / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + _TINY)


def of_rows(loss: Loss, rows: slice) -> Loss:
    """The loss of some of the examples."""
    return TargetedDLR(loss.targets[rows]) if isinstance(loss, TargetedDLR) else loss


def odds(scores: Tensor, labels: Tensor) -> Tensor:
    """The margin squeezed into (0, 1): its mean over draws is nearly how often the label is not the prediction."""
    return torch.sigmoid(margin(scores, labels))


def wrong(scores: Tensor, labels: Tensor) -> Tensor:
    """1 where the label is not the prediction, else 0: all that an attacker sees who is told labels alone."""
    return (scores.argmax(1) != labels).to(scores.dtype)


def _of(scores: Tensor, labels: Tensor) -> Tensor:
    return scores.gather(1, labels.unsqueeze(1)).squeeze(1)


def _best_other(scores: Tensor, labels: Tensor) -> Tensor:
    return scores.scatter(1, labels.unsqueeze(1), -torch.inf).amax(1)


def _check_classes(scores: Tensor, least: int) -> None:
    if scores.shape[1] < least:
        raise UserError(f"this attack's loss needs a network of at least {least} classes, found {scores.shape[1]}")
