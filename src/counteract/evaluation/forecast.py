"""The forecast: what a run will ask of a network, said before it does."""

from __future__ import annotations

from collections.abc import Iterable

from counteract.attacks.pgd import Path
from counteract.evaluation.blocks import Block
from counteract.evaluation.plan import Task


def forecast(label: str, left: Iterable[tuple[Task, Block, int]]) -> str:
    """Returns the forward passes that a network's cells take at most, in words.

    Judging and PGD are counted; how often other attacks ask is known once they have run.

    Args:
        label: The network's label.
        left: Each cell of each block, and the draws that judge it.
    """
    judging, dearest, others = 0, (1, ""), dict[str, None]()
    crafting: dict[tuple[Path, int, int], int] = {}
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
    return said + (f"; those of {', '.join(others)} come on top" if others else "")
