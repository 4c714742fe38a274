"""Answers of strangers' networks: the logits in whatever they return, and the labels that logits favour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from counteract._errors import UserError

_RULED_OUT = 50.0
"""The distance of a class that is ruled out from the others: its probability is 2e-22 of theirs."""

NO_LABEL = -1
"""The label of an answer that is not finite: no image has it, so that the answer counts as wrong."""


def labels_of(answers: Tensor) -> Tensor:
    """The classes of the highest scores, int64, shape (N,); `NO_LABEL` where an answer is not finite."""
    return answers.argmax(1).where(answers.isfinite().all(1), NO_LABEL)


def logits_in(answer: object, count: int, name: str = "model") -> Tensor:
    """The logits in a network's answer to `count` images: float32, or float64 as they are; shape (count, classes).

    Args:
        answer: Anything that a network returned.
        count: The number of images that it was asked for.
        name: The network's name, as an error calls it.

    Raises:
        UserError: (a ValueError) nothing in the answer, or more than one thing, can be the logits.
    """
    found = unwrap(answer, count, name)[0]
    return bounded_below(found if found.dtype == torch.float64 else found.float())


def bounded_below(scores: Tensor) -> Tensor:
    """Scores whose minus infinities, of classes that are ruled out, are finite: below all others by beyond round-off.

    They are the same otherwise; a row of nothing but minus infinities, or with another one that is not finite, favours
    no class and stays as it is.

    Args:
        scores: Logits or log-probabilities, shape (N, classes).
    """
    out = scores.isneginf()
    if not out.any():
        return scores
    lowest = scores.detach().masked_fill(out, torch.inf).amin(1, keepdim=True)
    return torch.where(out & lowest.isfinite(), lowest - _RULED_OUT, scores)


def unwrap(answer: object, count: int, name: str = "model") -> tuple[Tensor, list[str]]:
    """Takes the logits out of a network's answer: see `logits_in`.

    Returns:
        The logits as they are, shape (count, classes); and what was done to the answer, a clause each: nothing to a
        tensor of this shape.
    """
    inner, words = _inner(answer, count, name)
    if inner.ndim == 1 and count == 1:
        inner, words = inner.unsqueeze(0), [*words, "it leaves out the batch of a single image, which is put back"]
    _check(inner, count, name)
    return inner, words


def _inner(answer: object, count: int, name: str) -> tuple[Tensor, list[str]]:
    """The tensor in an answer, and where it was, in words."""
    kind = type(answer).__name__
    if isinstance(answer, Tensor):
        return answer, []
    if isinstance(logits := getattr(answer, "logits", None), Tensor):
        return logits, [f"it returns a {kind}, of which .logits is taken"]
    if isinstance(answer, Mapping):
        if isinstance(logits := answer.get("logits"), Tensor):
            return logits, [f"it returns a {kind}, of which 'logits' is taken"]
        parts = list(answer.values()) if len(answer) == 1 else []
    else:
        parts = _candidates(answer, count) if isinstance(answer, (tuple, list)) else []
    if len(parts) == 1 and isinstance(parts[0], Tensor):
        return parts[0], [f"it returns a {kind}, of which the only part that can be logits is taken"]
    raise UserError(
        f"{name} must return a tensor of logits, found {_described(answer, kind)}: let it return the logits alone, or "
        "under the name logits"
    )


def _candidates(answer: Sequence[object], count: int) -> list[Tensor]:
    """The parts of an answer that can be its logits: a row for each image; a single one's without its batch."""
    numbers = [part for part in answer if isinstance(part, Tensor) and part.is_floating_point()]
    rows = [part for part in numbers if part.ndim == 2 and len(part) == count]
    return rows or [part for part in numbers if part.ndim == 1 and count == 1]


def _check(logits: Tensor, count: int, name: str) -> None:
    """Raises UserError unless these are logits of two classes or more, one row for each image."""
    shape = tuple(logits.shape)
    if not logits.is_floating_point():
        raise UserError(f"{name} must return logits, one number for each class; found {logits.dtype}, {shape}")
    if shape in ((count,), (count, 1)):
        raise UserError(
            f"{name} returns one number for each image, found {shape}: of two classes let it return two, "
            "torch.cat([-z, z], 1) of a column z of logits"
        )
    if logits.layout is not torch.strided:
        raise UserError(f"{name} must return logits as a dense tensor, found {logits.layout}: give it a .to_dense()")
    if len(shape) != 2 or len(logits) != count:
        images = len(shape) == 4 and min(shape[2:]) > 1
        hint = ": of a part in front of a network give both, torch.nn.Sequential(it, network)" if images else ""
        raise UserError(f"{name} must return logits of shape ({count}, classes), found {shape}{hint}")


def _described(answer: object, kind: str) -> str:
    """An answer in a few words: its type, and the shapes or keys in it."""
    if isinstance(answer, Mapping):
        return f"a {kind} of {', '.join(map(str, list(answer)[:5])) or 'nothing'}"
    if isinstance(answer, (tuple, list)):
        parts = [str(tuple(part.shape)) if isinstance(part, Tensor) else type(part).__name__ for part in answer[:4]]
        return f"a {kind} of {', '.join(parts) or 'nothing'}"
    return kind
