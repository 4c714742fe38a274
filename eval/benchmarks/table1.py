"""The time that snapshots and the cache spare: the paper's Table 1 against the same with every cell made separately.

    python eval/benchmarks/table1.py [--limit 16] [--repeats 3] [--dataset FILE --pool FILE --model NAME]

A table at once makes one attack of 200 steps in each direction and shares its snapshots among all rows; made
separately, every cell has an attack of its own, as a loop over torchattacks and defences would. Each round times both,
and the table once more with its examples in the cache. Without data of yours it runs on digits.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from subjects import table1, table1_options
from timing import conditions, show, timed

from counteract.evaluation import EvaluationSpec, RunOptions, evaluate_spec


def run(spec: EvaluationSpec, cache: Path | None) -> list[float]:
    """Evaluates a spec, and returns its accuracies."""
    return [row.accuracy for row in evaluate_spec(spec, RunOptions(cache=cache)).rows]


def separately(spec: EvaluationSpec) -> list[float]:
    """Evaluates a spec cell by cell, each with an attack of its own."""
    cells = [(attack, defence) for attack in spec.attacks for defence in spec.defences]
    one = [spec.model_copy(update={"attacks": (attack,), "defences": (defence,)}) for attack, defence in cells]
    return [accuracy for cell in one for accuracy in run(cell, None)]


def main() -> None:
    """Times the rounds and prints the ratios."""
    parser = table1_options("Table 1 with snapshots and cache, as ratios")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    spec = table1(options)
    ratios: dict[str, list[float]] = {"without a cache beforehand": [], "with the examples in the cache": []}
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory() as folder:
            expected, apart = timed(lambda: separately(spec))
            for name in ratios:
                found, together = timed(lambda: run(spec, Path(folder)))
                if found != expected:
                    raise SystemExit("the two ways disagree: there is an error in one of them")
                ratios[name].append(apart / together)
    print(conditions(f"Table 1, {options.model} on {options.dataset}, n = {options.limit}"))
    for name, found in ratios.items():
        show(f"times faster {name}", found)


if __name__ == "__main__":
    main()
