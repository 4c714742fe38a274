"""The numbers of a table's lines as text."""

from __future__ import annotations

import math

import pytest
import torch
from reporting.synthetic import SPEC, adaptive, half_finished, make_run

from counteract.evaluation.scores import Accuracy
from counteract.reporting.lines import Item, Line, difference, make_lines, whole_interval


def line(lines: list[Line], defence: str) -> Line:
    return next(found for found in lines if found.defence == defence)


def test_the_lines_of_a_run() -> None:
    assert [found.defence for found in make_lines(half_finished(), "net")] == [
        "undefended",
        "counteraction",
        "rotation",
    ]
    found = line(make_lines(adaptive(), "net"), "rotation")
    assert str(found.clean) == "75.0 (30.1-95.4)"
    assert found.oblivious.text == "62.5"
    assert str(found.adaptive) == "37.5 (9.2-78.1, bpda-pgd)"
    assert (found.worst.text, found.undefended.text, found.any_wrong.text) == ("12.5", "25.0", "100.0")
    assert found.gain.text == "-12.5"
    assert (found.cost.text, found.time.text) == ("8", "8.0x")


def test_what_was_not_measured() -> None:
    found = make_lines(make_run(SPEC, lambda *_: None), "net")[1]
    assert str(found.adaptive) == "not measured"
    others = (found.clean, found.oblivious, found.worst, found.undefended, found.gain, found.any_wrong, found.cost)
    assert {str(item) for item in (*others, found.time, found.under("pgd2"))} == {"-"}


def test_what_cannot_run() -> None:
    run = make_run(SPEC, lambda *_: [1, 0], obstacles={("net", "pgd2", "rotation"): "no gradient"})
    found = make_lines(run, "net")
    assert str(line(found, "rotation").under("pgd2")) == "cannot run"
    assert line(found, "counteraction").under("pgd2").text == "50.0 ±0.0"


def test_numbers_of_some_examples_alone_say_how_many() -> None:
    shares = torch.tensor([1.0, 1.0, 0.0, math.nan])
    run = make_run(SPEC | {"seeds": 1}, lambda m, d, attack, s: shares if attack == "pgd2" else [1, 1, 1, 1])
    found = line(make_lines(run, "net"), "rotation")
    assert found.under("pgd2").small.endswith(", n = 3")
    assert found.worst.small.endswith(", n = 3")
    assert found.gain.small.endswith(", n = 3")
    assert "n =" not in found.clean.small


def test_differences() -> None:
    assert str(difference(-1.25, (-3.0, 0.5))) == "-1.2 (-3.0 to +0.5)"
    assert difference(None, None) == Item()


@pytest.mark.parametrize(
    ("accuracy", "ci95", "text"),
    [
        (0.1, (0.0, 0.4), "0-1"),
        (99.9, (99.6, 100.0), "99-100"),
        (17.0, (10.6, 25.6), "11-26"),
        (50.04, (50, 50), "50-50"),
    ],
)
def test_an_interval_holds_its_estimate(accuracy: float, ci95: tuple[float, float], text: str) -> None:
    assert whole_interval(Accuracy(1, 1000, accuracy, 0.0, ci95)) == text
