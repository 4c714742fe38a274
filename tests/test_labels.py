"""Labels of every kind that callers have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from counteract._labels import class_labels

LABELS = [2, 0, 1, 3]


@pytest.mark.parametrize(
    "labels",
    [
        LABELS,
        np.array(LABELS, np.int32),
        np.array(LABELS, np.uint8),
        np.array(LABELS, np.uint16),
        np.array(LABELS, ">i4"),
        np.array(LABELS[::-1])[::-1],
        torch.tensor(LABELS, dtype=torch.int16),
        np.eye(4)[LABELS],
        np.eye(4, dtype=np.int32)[LABELS],
        torch.eye(4, dtype=torch.bool)[LABELS],
        torch.eye(4, dtype=torch.float16)[LABELS],
    ],
)
def test_integers_and_one_hot_rows_become_int64(labels: Any) -> None:
    found = class_labels(labels, 4, 4)
    assert found.dtype == torch.int64
    assert found.tolist() == LABELS


def test_they_are_a_copy() -> None:
    labels = torch.tensor(LABELS)
    class_labels(labels, 4)[0] = 9
    assert labels.tolist() == LABELS


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.arange(3), r"labels must be 4 integers, one for each of images; found torch.int64, \(3,\)"),
        (torch.eye(4), r"found torch.float32, \(4, 4\)"),  # of five classes
        (torch.full((4, 5), 0.2), r"found torch.float32, \(4, 5\)"),
        (2 * torch.eye(5)[:4], r"found torch.float32, \(4, 5\)"),
        (torch.ones(4, 5), r"found torch.float32, \(4, 5\)"),
        (torch.tensor([[2, -1, 0, 0, 0]] * 4), r"found torch.int64, \(4, 5\)"),
        (torch.ones(4, 1), r"found torch.float32, \(4, 1\)"),
        (torch.ones(4, 2, dtype=torch.complex64), "found torch.complex64"),
        (torch.arange(4.0), r"found torch.float32, \(4,\)"),
        (torch.zeros(4, dtype=torch.bool), "found torch.bool"),
        (["a"] * 4, "labels must be 4 integers, found list"),
        (None, "labels must be 4 integers, found NoneType"),
    ],
)
def test_other_labels_are_named(labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        class_labels(labels, 4, 5)
