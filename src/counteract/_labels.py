"""Labels as callers have them, integers of any kind or one-hot rows, as int64."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from counteract._errors import UserError


def as_array(labels: Any) -> np.ndarray[Any, Any]:
    """Returns labels as an array, of whatever kind they are: a tensor's on the CPU."""
    return labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)


def class_labels(labels: Any, count: int, num_classes: int | None = None) -> Tensor:
    """Returns labels as int64, shape (N,): a copy.

    Args:
        labels: Integers, shape (N,), or rows of zeros with a single one, shape (N, classes); anything that makes a
            tensor.
        count: The number N that there must be.
        num_classes: The length of one-hot rows; None if that is not known.

    Raises:
        UserError: (a ValueError) they are something else.
    """
    if isinstance(labels, np.ndarray):  # torch takes neither mirrored arrays nor those of another byte order
        labels = np.array(labels, labels.dtype.newbyteorder("="), order="C")
    try:
        found = torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError):
        raise UserError(f"labels must be {count} integers, found {type(labels).__name__}") from None
    if found.ndim == 2 and len(found) == count and found.shape[1] == (num_classes or max(2, found.shape[1])):
        ones = found == 1
        if ((ones | (found == 0)).all(1) & (ones.sum(1) == 1)).all():
            return ones.long().argmax(1)
    if found.shape != (count,) or found.is_floating_point() or found.is_complex() or found.dtype == torch.bool:
        what = f"{found.dtype}, {tuple(found.shape)}"
        raise UserError(f"labels must be {count} integers, one for each of images; found {what}")
    return found.to(torch.int64, copy=True)
