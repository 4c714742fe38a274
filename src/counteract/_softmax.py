"""Logarithms of a network's probabilities: exact, also where they underflow, if a softmax is what it ends with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from counteract._answers import bounded_below

_SOFTMAX = frozenset({F.softmax, torch.softmax, torch.special.softmax, Tensor.softmax})


def log_probabilities(answer: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
    """Asks a network that returns probabilities.

    Args:
        answer: Asks it, for an answer of shape (N, classes).

    Returns:
        The logarithms of its answer, and the answer. If that is what a softmax returned, its logarithms are computed
        from what that softmax was of; if not, those of probabilities that underflow are that of the least number.
    """
    with _Watch() as watch:
        probabilities = answer()
    logits = watch.logits_of(probabilities)
    if logits is not None:
        return bounded_below(logits).log_softmax(dim=1), probabilities
    return probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny).log(), probabilities


class _Watch(TorchFunctionMode):
    """Remembers the last softmax that was computed, and what it was of."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: tuple[Tensor, int, Tensor, int] | None = None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func in _SOFTMAX:
            logits = args[0] if args else kwargs["input"]
            dim = args[1] if len(args) > 1 else kwargs.get("dim")
            if logits.ndim == 2 and dim in (1, -1, None) and not result.is_inference():  # those count no writes
                self._seen = result, result._version, logits, logits._version
        return result

    def logits_of(self, probabilities: Tensor) -> Tensor | None:
        """The logits of these probabilities, if they are that softmax's, and nobody has written into either since."""
        if self._seen is None:
            return None
        result, written, logits, logits_written = self._seen
        untouched = (result._version, logits._version) == (written, logits_written)
        return logits if probabilities is result and untouched else None
