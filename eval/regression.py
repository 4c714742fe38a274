"""Answers of today's engine beside those that the first one gave: right or wrong, example by example.

    python eval/regression.py [--dataset data/cifar10_test.npz --pool data/cifar10_train.npz] [--limit 100]
        [--attack clean pgd10] [--defence undefended counteraction] [--model iat] [--out FOLDER]

What was recorded is in eval/results/before-rebuild: the first 100 test images of CIFAR-10, both shipped networks, one
seed, five attacks, six defences. The same is measured again, or less of it, and for each cell the number of examples
whose answer differs is printed. The exit code is 0 if none does, 1 if one does or has nothing to be compared with.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from counteract.evaluation import Run, RunOptions, evaluate_spec, make_spec, read_run, read_spec, with_models

RECORDED = Path(__file__).parent / "results" / "before-rebuild"


@dataclass(frozen=True)
class Comparison:
    """The answers to one cell, then and now.

    Attributes:
        cell: Network, attack and defence.
        differing: The indices of the examples whose answers differ.
        compared: The number of examples that both have answers to.
        wanted: The number of examples that were measured now.
    """

    cell: tuple[str, str, str]
    differing: tuple[int, ...]
    compared: int
    wanted: int

    @property
    def same(self) -> bool:
        """Every example was compared, and none differs."""
        return not self.differing and self.compared == self.wanted


def compare(recorded: Run, found: Run) -> Iterator[Comparison]:
    """Yields a comparison for each cell that was measured now."""
    then = {(cell.model, cell.attack, cell.defence): cell.correct for cell in recorded.cells}
    for cell in found.cells:
        name = (cell.model, cell.attack, cell.defence)
        for seed, answers in cell.correct.items():
            before = then.get(name, {}).get(seed)
            if before is None:
                yield Comparison(name, (), 0, len(answers))
                continue
            count = min(len(before), len(answers))
            both = ~(before[:count].isnan() | answers[:count].isnan())
            differ = both & (before[:count] != answers[:count])
            yield Comparison(name, tuple(differ.nonzero()[:, 0].tolist()), int(both.sum()), len(answers))


def measure(data: dict[str, Any], models: Sequence[str], options: RunOptions) -> Run:
    """Evaluates a spec on some of its networks, or on all if none is named."""
    return evaluate_spec(make_spec(with_models(data, models) if models else data, "regression"), options)


def show(found: Comparison) -> str:
    """Returns the line about one cell."""
    where = ", ".join(found.cell)
    if found.compared < found.wanted:
        return f"{where}: {found.compared} of {found.wanted} examples have a recorded answer"
    which = f": {', '.join(map(str, found.differing))}" if found.differing else ""
    return f"{where}: {len(found.differing)} of {found.compared} differ{which}"


def main() -> None:
    """Measures, prints a line for each cell, and exits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recorded", type=Path, default=RECORDED, help="another recorded run, with its spec.toml")
    parser.add_argument("--dataset")
    parser.add_argument("--pool")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--attack", nargs="+")
    parser.add_argument("--defence", nargs="+")
    parser.add_argument("--model", nargs="+", default=[], help="mixup or iat; both by default")
    parser.add_argument("--out", type=Path, help="a folder, where a run that was killed goes on")
    given = parser.parse_args()
    changes = {"dataset": given.dataset, "pool": given.pool, "limit": given.limit}
    changes |= {"attacks": given.attack, "defences": given.defence}
    changes = {key: value for key, value in changes.items() if value}
    data = read_spec(str(given.recorded / "spec.toml")) | changes
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
    comparisons = list(compare(read_run(given.recorded), measure(data, given.model, RunOptions(folder=given.out))))
    for each in comparisons:
        print(show(each))
    differing = sum(len(each.differing) for each in comparisons)
    print(f"{differing} of {sum(each.compared for each in comparisons)} answers differ")
    sys.exit(0 if all(each.same for each in comparisons) else 1)


if __name__ == "__main__":
    main()
