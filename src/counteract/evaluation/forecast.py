"""The forecast: what a run will ask of a network, said before it does."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from counteract.attacks import pgd
from counteract.attacks.base import CLEAN
from counteract.evaluation.blocks import Block
from counteract.evaluation.plan import Task

_MUCH = 10**9
"""Bytes of examples that are worth a word."""


def forecast(label: str, left: Iterable[tuple[Task, Block, int]], most: int = 0) -> str:
    """Returns the forward passes that a network's cells take at most, in words.

    Judging and PGD are counted; how often other attacks ask is known once they have run.

    Args:
        label: The network's label.
        left: Each cell of each block, and the draws that judge it.
        most: The draws that an example is asked for before a cascade gives it up; 0 where that is no more than these.
    """
    judging, dearest, others = 0, (1, ""), dict[str, None]()
    crafting: dict[tuple[pgd.Path, int, int], int] = {}
    for task, block, draws in left:
        judged, attack = task.judged, task.attack
        judging += len(block) * draws * judged.passes
        dearest = max(dearest, (judged.passes, judged.name))
        if attack.path is not None:  # the longest run's snapshots are the shorter ones, for all defences
            run, passes = (attack.path, task.place.seed, block.start), 1 + 2 * attack.steps  # 1 for its label
            crafting[run] = max(crafting.get(run, 0), len(block) * passes)
        elif attack.preset or attack.unkeyed:  # one that searches: not the clean images, noise, or those of a folder
            others[attack.name] = None
    passes, name = dearest
    parts = [f"{judging:,} to judge" + (f" (up to {passes:,} an answer, of {name})" if passes > 1 else "")]
    parts += [f"{sum(crafting.values()):,} to make PGD's examples"] * bool(crafting)
    said = f"{label}: at most {judging + sum(crafting.values()):,} forward passes, {' and '.join(parts)}"
    more = [f"those of {', '.join(others)}"] * bool(others)
    more += [f"up to {most} draws of what the cascade gives up"] * bool(most)
    return said + (f"; {' and '.join(more)} come on top" if more else "")


def storage(label: str, left: Iterable[tuple[Task, Block, int]], size: int, folder: Path) -> str:
    """Returns the room that a network's adversarial examples take at most, in words; empty where it is little.

    Args:
        label: The network's label.
        left: Each cell of each block, and the draws that judge it.
        size: The values of an image.
        folder: The cache.
    """
    made = {
        (task.attack.name, task.place.defence * task.attack.adaptive, task.place.seed, block)
        for task, block, _ in left
        if task.attack.name != CLEAN
    }
    size *= 4 * sum(len(block) for *_, block in made)
    if size < _MUCH:
        return ""
    return f"{label}: up to {size / 10**9:,.1f} GB of adversarial examples are kept in {folder}; --no-cache keeps none"
