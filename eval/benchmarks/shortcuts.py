"""The shortcuts' cost in accuracy: bfloat16, and one backward pass for all labels, beside the paper's way.

    python eval/benchmarks/shortcuts.py --out runs/shortcuts [--model iat=cifar10-resnet18w16-iat] [--limit 5000]
        [--defence undefended counteraction]
        [--dataset data/cifar10_test.npz --pool data/cifar10_train.npz]

Every way classifies the same images under the same oblivious attacks with every defence there is, in the paper's
settings. Printed is the paper's way with its Wilson interval, and how far the others lie above it, in points, with
paired intervals. A run that was killed goes on in its folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from counteract.evaluation import RunOptions, default_cache, evaluate_spec, make_spec, read_spec, with_models
from counteract.evaluation.cells import Cell
from counteract.evaluation.scores import Accuracy, compare

WAYS: dict[str, dict[str, Any]] = {
    "exact": {},
    "bf16": {"precision": "bf16"},
    "sign-of-sum": {"combine": "sign-of-sum"},
}
"""The differences of each way from Table 1; `combine` is a parameter of counteraction."""

BEYOND = ["counteraction-untargeted", "resize-pad", "gaussian-noise", "rotation", "hedge", "anti-adversary"]
"""The defences that Table 1 does not have."""


def measure(options: argparse.Namespace, way: str) -> dict[tuple[str, str, str], Cell]:
    """One way's cells by network, attack and defence; none where the way has nothing to change."""
    changes = dict(WAYS[way])
    data = read_spec("table1")
    data["defences"] = options.defence or data["defences"] + BEYOND
    if options.model:
        data = with_models(data, options.model)
    if combine := changes.pop("combine", None):
        data["defences"] = [name for name in data["defences"] if name.startswith("counteraction")]
        if not data["defences"]:
            return {}
        data["parameters"]["counteraction"]["combine"] = combine
    wanted = {"dataset": options.dataset, "pool": options.pool, "limit": options.limit, "seeds": 1, "illustrations": 0}
    made = make_spec(data | wanted | {"attacks": options.attack} | changes, "options")
    folder = options.out / way
    folder.mkdir(parents=True, exist_ok=True)
    found = evaluate_spec(made, RunOptions(folder=folder, cache=options.cache))
    return {(cell.model, cell.attack, cell.defence): cell for cell in found.measured}


def difference(other: Cell | None, exact: Cell) -> str:
    """The points by which one way lies above the paper's, with the paired interval."""
    found = None if other is None else compare(other, exact)
    if found is None:
        return "-"
    low, high = found.ci95
    return f"{found.points:+.1f} [{low:+.1f}, {high:+.1f}]"


def main() -> None:
    """Measures every way, and prints them as a table in Markdown."""
    parser = argparse.ArgumentParser(description="the accuracy of bfloat16 and of one backward pass for all labels")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", action="append")
    parser.add_argument("--defence", nargs="+")
    parser.add_argument("--attack", nargs="+", default=["clean", "pgd50"])
    parser.add_argument("--limit", type=int, default=5000)
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--pool", default="train")
    parser.add_argument("--cache", type=Path, default=default_cache())
    options = parser.parse_args()
    found = {way: measure(options, way) for way in WAYS}
    print(f"n = {options.limit}\n\n| network, attack | defence | exact | bf16 | sign-of-sum |\n|---|---|---|---|---|")
    for place, exact in found["exact"].items():
        model, attack, defence = place
        accuracy = Accuracy.of([exact.correct[0]])
        low, high = accuracy.ci95
        others = " | ".join(difference(found[way].get(place), exact) for way in ("bf16", "sign-of-sum"))
        print(f"| {model}, {attack} | {defence} | {accuracy.accuracy:.1f} [{low:.1f}, {high:.1f}] | {others} |")


if __name__ == "__main__":
    main()
