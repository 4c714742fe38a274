"""Comparisons within a cascade, where an attack inherits what those before it broke."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import takewhile

from counteract.attacks.registry import recorded_attack
from counteract.evaluation.cells import Cell
from counteract.evaluation.worst_cases import survived


def oblivious(cells: Sequence[Cell], *, cascade: bool, alone: Collection[str]) -> list[Cell]:
    """Returns the cells under oblivious attacks: of a cascade those that hold nothing of what an adaptive one found."""
    kept, first = list[Cell](), True
    for cell in cells:
        adaptive = recorded_attack(cell.attack).adaptive
        first = first and not adaptive
        if not adaptive and (first or not cascade or cell.attack in alone):
            kept.append(cell)
    return kept


def comparable(undefended: Sequence[Cell], cells: Sequence[Cell], *, cascade: bool) -> list[Cell]:
    """Returns the undefended network's cells that a defence's worst case may be compared with.

    An attack that cannot run on the defence, and breaks the undefended network, would show as a gain. Of a cascade,
    where what it found is in all that comes after it, the cells before it are left.
    """
    attacks, kept = {cell.attack for cell in cells}, list[Cell]()
    for cell in undefended:
        if cell.attack in attacks:
            kept.append(cell)
        elif cascade and _found_more(cell, kept):
            break
    return kept


def _found_more(cell: Cell, before: Sequence[Cell]) -> bool:
    """Returns True where an attack broke an example that those before it did not."""
    known = survived(before)
    return any(bool((shares < known[seed]).any()) for seed, shares in cell.measured.items() if seed in known)


def met_alike(attack: str, *groups: Sequence[Cell]) -> bool:
    """Returns True where two defences met the same attacks of a cascade before this one, or such as found nothing."""
    before = [list(takewhile(lambda cell: cell.attack != attack, group)) for group in groups]
    for cells, others in (before, reversed(before)):
        names = {cell.attack for cell in others}
        for place, cell in enumerate(cells):
            if cell.attack not in names and _found_more(cell, cells[:place]):
                return False
    return True
