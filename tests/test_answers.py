"""The logits in whatever a network returns, and labels of answers that are no numbers."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from counteract._answers import NO_LABEL, bounded_below, labels_of, logits_in, unwrap
from counteract._errors import UserError

LOGITS = torch.arange(6.0).view(2, 3)

NAN, INF = float("nan"), float("inf")

Output = namedtuple("Output", ["logits", "hidden"])


def test_answers_that_are_not_finite_have_no_label() -> None:
    answers = torch.tensor([[0.0, 2, 1], [NAN, NAN, NAN], [5, NAN, 0], [INF, 0, 0], [0, -INF, 3], [3, 2, 1]])
    assert labels_of(answers).tolist() == [1, NO_LABEL, NO_LABEL, NO_LABEL, NO_LABEL, 0]
    assert labels_of(torch.empty(0, 3)).tolist() == []


def test_a_class_that_is_ruled_out_comes_last() -> None:
    answers = torch.tensor([[0.0, -INF, 3], [-INF, -INF, -INF], [-INF, NAN, 0], [-INF, INF, 0], [1e4, -1e4, -INF]])
    found = bounded_below(answers)
    assert labels_of(found).tolist() == [2, NO_LABEL, NO_LABEL, NO_LABEL, 0]
    assert found[0].argmin() == 1
    assert found[0, 1] < found[0, 0] - 17  # whose share is then less than round-off
    assert found[4].argmin() == 2
    assert torch.equal(found[:, 2].isnan(), answers[:, 2].isnan())
    assert torch.equal(logits_in(answers, 5).argmax(1), found.argmax(1))
    assert bounded_below(LOGITS) is LOGITS


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (LOGITS, []),
        ((LOGITS,), ["it returns a tuple, of which the only part that can be logits is taken"]),
        ([None, LOGITS, torch.zeros(())], ["it returns a list, of which the only part that can be logits is taken"]),
        ((torch.zeros(2, 4, 4, 4), LOGITS), ["it returns a tuple, of which the only part that can be logits is taken"]),
        ((torch.tensor([1, 2]), LOGITS), ["it returns a tuple, of which the only part that can be logits is taken"]),
        ({"logits": LOGITS, "features": torch.zeros(2, 5)}, ["it returns a dict, of which 'logits' is taken"]),
        ({"out": LOGITS}, ["it returns a dict, of which the only part that can be logits is taken"]),
        (OrderedDict(logits=LOGITS), ["it returns a OrderedDict, of which 'logits' is taken"]),
        (
            SimpleNamespace(logits=LOGITS, hidden=torch.zeros(2, 5)),
            ["it returns a SimpleNamespace, of which .logits is taken"],
        ),
        (Output(LOGITS, torch.zeros(2, 5)), ["it returns a Output, of which .logits is taken"]),
    ],
)
def test_logits_are_taken_out_of_answers_and_it_is_said(answer: object, words: list[str]) -> None:
    found, said = unwrap(answer, 2)
    assert found is LOGITS
    assert said == words


def test_a_single_image_gets_its_batch_back() -> None:
    for answer in (LOGITS[0], (LOGITS[0],), {"logits": LOGITS[0]}):
        found, words = unwrap(answer, 1)
        assert torch.equal(found, LOGITS[:1])
        assert words[-1] == "it leaves out the batch of a single image, which is put back"
    assert unwrap(LOGITS[:1], 1)[1] == []


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_logits_are_float32_or_better(dtype: torch.dtype) -> None:
    found = logits_in(LOGITS.to(dtype), 2)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert torch.equal(found.float(), LOGITS)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "must return a tensor of logits, found NoneType: let it return the logits alone, or under the name"),
        ((LOGITS, LOGITS), r"found a tuple of \(2, 3\), \(2, 3\): let it return the logits alone"),
        ((), "found a tuple of nothing"),
        ({}, "found a dict of nothing"),
        ({"a": LOGITS, "b": torch.zeros(2, 5)}, "found a dict of a, b"),
        ({"a": "text"}, "found a dict of a"),
        (SimpleNamespace(logits=None), "found SimpleNamespace"),
        (torch.zeros(2), r"returns one number for each image, found \(2,\): of two classes let it return two"),
        (torch.zeros(2, 1), r"returns one number for each image, found \(2, 1\)"),
        ((torch.zeros(2, 1),), r"returns one number for each image, found \(2, 1\)"),
        (torch.zeros(2, dtype=torch.int64), "must return logits, one number for each class; found torch.int64"),
        (torch.zeros(2, 3, 1, 1), r"must return logits of shape \(2, classes\), found \(2, 3, 1, 1\)"),
        (torch.zeros(3, 3), r"must return logits of shape \(2, classes\), found \(3, 3\)"),
        (torch.zeros(()), r"must return logits of shape \(2, classes\), found \(\)"),
    ],
)
def test_anything_else_is_one_sentence(answer: Any, message: str) -> None:
    with pytest.raises(UserError, match=f"^model mine .*{message}") as error:
        unwrap(answer, 2, "model mine")
    assert len(str(error.value)) <= 300
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("answer", [torch.zeros(1), torch.zeros(1, 1), torch.zeros(())])
def test_one_number_for_one_image_is_no_answer(answer: Tensor) -> None:
    with pytest.raises(UserError, match=r"must return|returns one number"):
        unwrap(answer, 1)


def test_rows_are_preferred_to_a_number_for_each_image() -> None:
    logits, confidence = torch.rand(1, 10), torch.rand(1)
    assert logits_in((logits, confidence), 1) is logits


def test_sparse_answers_and_images_are_refused() -> None:
    with pytest.raises(UserError, match=r"dense tensor, found torch.sparse_coo: give it a .to_dense\(\)"):
        logits_in(torch.rand(2, 10).to_sparse(), 2)
    with pytest.raises(
        UserError, match=r"of a part in front of a network give both, torch.nn.Sequential\(it, network\)"
    ):
        logits_in(torch.rand(2, 3, 8, 8), 2)
