"""Worst cases over attacks against figures counted by hand."""

from __future__ import annotations

import torch
from evaluation.shares import NAN, cell

from counteract.evaluation.cells import Cell
from counteract.evaluation.worst_cases import asked_again, counts_luck, least, survived, worst


def drawing(attack: str, draws: list[list[int]]) -> Cell:
    """A cell of a defence that draws, by its draws."""
    right = torch.tensor(draws, dtype=torch.bool)
    made = cell(attack, "d", right.double().mean(0).tolist())
    made.drawn[0] = right
    return made


def test_an_example_counts_where_every_attack_has_it() -> None:
    parts = [cell("clean", "d", [1, 1, NAN, 0, 1]), cell("pgd10", "d", [NAN, 1, 1, 1, 0])]
    for found in (survived(parts)[0], least(parts)[0]):
        assert found.isnan().tolist() == [True, False, True, False, False]
        assert found.nan_to_num(9).tolist() == [9, 1, 9, 0, 0]


def test_bad_luck_under_many_attacks_is_no_attack() -> None:
    """Ten attacks that do nothing leave a fair coin what it has; the least share has its bad luck."""
    draws = torch.Generator().manual_seed(0)
    coins = [torch.rand(8, 400, generator=draws).gt(0.5).int().tolist() for _ in range(10)]
    cells = [drawing(f"pgd{k}", coins[k]) for k in range(10)]
    assert abs(float(survived(cells)[0].mean()) - 0.5) < 0.06
    assert float(least(cells)[0].mean()) < 0.3


def test_an_attack_that_does_something_is_the_worst_case_of_its_examples() -> None:
    harmless, strong = drawing("clean", [[1, 1, 0, 1]] * 4), drawing("pgd10", [[0, 1, 1, 1], [0, 0, 1, 1]] * 2)
    assert survived([harmless, strong])[0].tolist() == [0, 0.5, 0, 1]
    bare = torch.tensor([1.0, 0, 1, 1]).double()
    assert worst([bare, strong.correct[0]], [None, strong.drawn[0]]).tolist() == [0, 0, 1, 1]


def test_who_asks_again_leaves_what_all_draws_get_right_under_one_attack() -> None:
    weak, strong = drawing("clean", [[1, 1, 0, 0], [1, 1, 1, 0]]), drawing("pgd10", [[1, 0, 1, 0], [0, 0, 1, 1]])
    assert asked_again([weak, strong])[0].tolist() == [0, 0, 1, 0]
    assert asked_again([]) == {}


def test_draws_that_are_not_known_count_luck() -> None:
    assert not counts_luck(drawing("clean", [[1, 0], [0, 0]]))
    assert not counts_luck(cell("clean", "d", [1, 0]))
    assert counts_luck(cell("clean", "d", [1, 0.5]))
    once = cell("clean", "d", [1, 0])
    once.once = True
    assert counts_luck(once)
