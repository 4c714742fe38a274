"""`Postprocessing`: ART's postprocessors as the last part of a defended network, which hide its scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from art.defences.postprocessor.postprocessor import Postprocessor
from torch import Tensor

from counteract._errors import UserError
from counteract._seeding import OneByOne, global_state, seeded
from counteract.preprocessors.base import number_in_words

_NOT_SAID = ("apply_fit", "apply_predict")


class Postprocessing:
    """A change of the probabilities that a network hands out, by one of ART's postprocessors or a stranger's.

    It gets probabilities and returns scores, whose logarithms are handed on; those that have none lie below all others,
    in their order. The gradient that passes back is the identity on log-probabilities: that of the network behind it
    (BPDA, Athalye et al. 2018). What draws random numbers, or treats a row otherwise in other company (as ART's
    ClassLabels does), is given one row at a time, with the global generators and its own seeded by the row's key.

    Args:
        postprocessor: The postprocessor: probabilities, float32, shape (N, classes), to scores of the same shape.
        name: Its name in errors and reports; None for that of its class.

    Raises:
        UserError: (a ValueError) it is no postprocessor, or one that acts in training only.
    """

    def __init__(self, postprocessor: Postprocessor, *, name: str | None = None) -> None:
        self.postprocessor = postprocessor
        self.name = name or type(postprocessor).__name__
        self._one_by_one = OneByOne(postprocessor)
        self._alone: bool | None = None
        if not isinstance(postprocessor, Postprocessor):
            raise UserError(f"postprocessor must be one of ART's or a subclass of its Postprocessor, found {self.name}")
        if not hasattr(postprocessor, "apply_predict"):
            raise UserError(f"defence {self.name} is not made: let its __init__ call super().__init__(is_fitted=True)")
        if not postprocessor.apply_predict:
            raise UserError(f"defence {self.name} acts in training only: it has apply_predict=False")

    def __call__(self, scores: Tensor, keys: Tensor) -> Tensor:
        """Returns what becomes of log-probabilities, shape (N, classes); keys: int64, shape (N,)."""
        probabilities = scores.detach().float().exp()
        with torch.no_grad():
            if self._stands_alone(probabilities):
                made = torch.cat(self._one_by_one(self._call, probabilities.split(1), keys))
            else:
                made = self._call(probabilities)
            hidden = _logarithms(made).to(scores.dtype)
        return hidden + (scores - scores.detach())

    def describe(self) -> str:
        """Returns the postprocessor's parameters in words."""
        names = [name for name in getattr(self.postprocessor, "params", ()) if name not in _NOT_SAID]
        values = [f"{each} {number_in_words(each, getattr(self.postprocessor, each, None))}" for each in names]
        return ", ".join([*values, "on probabilities", "the identity for a gradient (BPDA)"])

    def _call(self, probabilities: Tensor) -> Tensor:
        made = np.array(self.postprocessor(probabilities.cpu().numpy().copy()))
        if made.shape != tuple(probabilities.shape) or made.dtype.kind not in "buif":
            raise UserError(
                f"defence {self.name} must return scores of shape {tuple(probabilities.shape)}, found {made.dtype}, "
                f"{made.shape}"
            )
        return torch.from_numpy(made.astype(np.float32)).to(probabilities.device)

    def _stands_alone(self, probabilities: Tensor) -> bool:
        """Returns True if rows must go one at a time, which a few rows show the first time."""
        if self._alone is None:
            few = torch.cat([probabilities[:2], probabilities[:1].flip(1)])
            with seeded(0):
                before = global_state()
                together, alone = self._call(few), torch.cat([self._call(row) for row in few.split(1)])
                self._alone = global_state() != before or not torch.allclose(together, alone, rtol=0, atol=1e-6)
        return self._alone


def _logarithms(scores: Tensor) -> Tensor:
    """The logarithms of scores; what has none keeps its order, below all others."""
    numbers = torch.finfo(scores.dtype)
    return scores.clamp(min=numbers.tiny).log() + scores.clamp(numbers.min, 0)


def postprocess_all(postprocessors: object) -> tuple[Postprocessing, ...]:
    """Makes parts of one postprocessor or of several.

    Raises:
        UserError: (a ValueError) one is none.
    """
    several = postprocessors if isinstance(postprocessors, Sequence) else [postprocessors]
    return tuple(each if isinstance(each, Postprocessing) else Postprocessing(each) for each in several)
