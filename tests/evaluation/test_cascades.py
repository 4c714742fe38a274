"""Comparisons of defences whose attacks ran in turn."""

from __future__ import annotations

import pytest
from evaluation.shares import cell

from counteract.evaluation.scores import make_differences, make_summaries


def test_an_attack_that_cannot_run_on_a_defence_is_no_gain() -> None:
    undefended = [
        cell("clean", "undefended", [1, 1, 1, 1]),
        cell("smooth", "undefended", [0, 0, 0, 0]),
        cell("square", "undefended", [0, 0, 0, 0]),
    ]
    given = [cell("clean", "d", [1, 1, 1, 1]), cell("square", "d", [1, 1, 1, 0])]
    _, found = make_summaries("data", [*undefended, *given])
    assert (found.gain, found.undefended) == (75, make_summaries("data", [undefended[0], undefended[2]])[0].worst)
    _, found = make_summaries("data", [*undefended[:2], *given[:1]])
    assert found.gain == 0
    _, found = make_summaries("data", [*undefended, *given], cascade=True)
    assert found.gain == -25  # of a cascade nobody knows what would be left without it
    harmless = [undefended[0], cell("smooth", "undefended", [1, 1, 1, 1]), undefended[2]]
    _, found = make_summaries("data", [*harmless, *given], cascade=True)
    assert found.gain == 75


def test_of_a_cascade_what_an_adaptive_attack_found_is_no_oblivious_worst_case() -> None:
    given = [cell("clean", "d", [1, 1, 1, 0]), cell("bpda-apgd-t", "d", [1, 0, 0, 0]), cell("pgd10", "d", [1, 0, 0, 0])]
    for cascade, alone, left in ((False, (), 25), (True, (), 75), (True, ("pgd10",), 25)):
        (found,) = make_summaries("data", given, cascade=cascade, alone=alone)
        assert found.oblivious is not None
        assert found.oblivious.accuracy == left


@pytest.mark.parametrize(
    ("met", "cascade", "alone", "compared"),
    [
        ([1, 0, 0, 0], True, (), 0),
        ([1, 1, 1, 1], True, (), 1),
        ([1, 0, 0, 0], True, ("pgd10",), 1),
        ([1, 0, 0, 0], False, (), 1),
    ],
)
def test_of_a_cascade_defences_that_met_other_attacks_before_are_not_compared(
    met: list[float], cascade: bool, alone: tuple[str, ...], compared: int
) -> None:
    undefended = [cell(attack, "undefended", [1, 1, 1, 1]) for attack in ("clean", "smooth", "pgd10")]
    undefended[1] = cell("smooth", "undefended", met)
    given = [cell("clean", "d", [1, 1, 1, 1]), cell("smooth", "d"), cell("pgd10", "d", [1, 1, 1, 1])]
    found = make_differences([*undefended, *given], cascade=cascade, alone=alone)
    assert sum(each.attack == "pgd10" for each in found) == compared
    assert found[0].attack == "clean"
