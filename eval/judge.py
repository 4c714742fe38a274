"""Audits the defences of `broken` that are known to be broken, and the controls that are not: is the judge right?

    python eval/judge.py --out eval/results/judge                          digits, 48 images
    python eval/judge.py --out board --dataset cifar10 --data cifar10_test.npz --train cifar10_train.npz --limit 200
    python eval/judge.py --out board --row jpeg --row kwta                 these rows alone

Each row is written as it is done, and is not done again; a row that was interrupted goes on where it was.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from broken.about import about
from broken.controls import certified, radius_of
from broken.rows import Row, rows
from broken.yardsticks import case_of, yardstick

from counteract import audit, load_model
from counteract.datasets import Dataset, load_dataset
from counteract.evaluation import RunOptions

WITHIN = 3.0
"""The points by which the suite may miss what an attack by hand finds."""

FINE = ("sound", "no gain")
"""The verdicts that are right for a control."""


def by_hand(row: Row, data: Dataset, pool: Dataset) -> float:
    """The accuracy that the attack by hand leaves, in percent."""
    images, network = data.read(torch.arange(len(data))), load_model(row.network)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        case = case_of(_factory(row), network, pool, images, **row.arguments)
        return yardstick(row.module, case, images, data.labels, row.eps)


def _factory(row: Row) -> Callable[..., object]:
    """The factory of a row; of no defence, the network itself."""
    if not row.factory:
        return lambda network: network
    found: Callable[..., object] = getattr(importlib.import_module(f"broken.{row.module}"), row.factory)
    return found


def certificate(row: Row, data: Dataset) -> float | None:
    """The accuracy in percent below which no attack on a smoothed network can get; None for another row."""
    if row.factory != "smoothed":
        return None
    images = data.read(torch.arange(len(data)))
    network, radius = load_model(row.network), radius_of(row.eps, images)
    return 100 * float(certified(network, images, data.labels, radius, **row.arguments).float().mean())


def measure(row: Row, data: Dataset, pool: Dataset, preset: str, draws: int, folder: Path | None) -> dict[str, Any]:
    """Audits one row, and attacks it by hand."""
    begin = time.perf_counter()
    options = RunOptions(folder=None if folder is None else folder / "runs" / _slug(row.name))
    network = load_model(row.network)
    effort: dict[str, Any] = {"preset": preset, "seeds": 1, "draws": draws}
    found = audit(row.defence, network, data, eps=row.eps, pool=pool, options=options, **effort)
    seconds = time.perf_counter() - begin
    summary = found.run.summaries[-1]
    own = [each for each in found.run.rows if each.defence == summary.defence]
    verdict = getattr(found, "verdict", None)
    return {
        "name": row.name,
        "defence": row.defence,
        "network": Path(row.network).stem,
        "eps": row.eps,
        "n": len(data),
        "control": row.control,
        "clean": _percent(summary.clean),
        "oblivious": _percent(summary.oblivious),
        "adaptive": _percent(summary.adaptive),
        "strongest": summary.strongest,
        "worst": _percent(summary.worst),
        "undefended": _percent(summary.undefended),
        "by hand": by_hand(row, data, pool),
        "certified": certificate(row, data),
        "verdict": str(getattr(verdict, "word", verdict or ("sound" if found.sound else "flagged"))),
        "flags": [check.name for check in found.checks if check.flag],
        "passes": sum(each.attack_passes or 0.0 for each in own),
        "seconds": round(seconds),
        "attacks": {each.attack: round(each.accuracy, 2) for each in own},
    }


def _percent(found: Any) -> float | None:
    return None if found is None else round(found.accuracy, 2)


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)


def mistake(found: dict[str, Any]) -> str:
    """The judge's mistake on a row in words; nothing where it is right."""
    worst = found["worst"]
    if found["certified"] is not None and worst < found["certified"]:
        return f"below the certificate, {found['certified']:.1f}"
    if found["control"]:
        return "" if found["verdict"] in FINE else "false alarm"
    if worst > found["by hand"] + WITHIN:
        return f"{worst - found['by hand']:.1f} points short of the attack by hand"
    claims = found["undefended"] is not None and worst > found["undefended"] + WITHIN and found["verdict"] == "sound"
    return "a gain is believed" if claims else ""


NUMBERS = ("clean", "undefended", "oblivious", "adaptive", "worst", "by hand")
"""The accuracies of the board."""


def table(found: Sequence[dict[str, Any]]) -> str:
    """The board as Markdown."""
    first, last = ("defence", "claimed", "published truth", "network", "eps"), ("verdict", "flags", "passes an image")
    columns = (*first, *NUMBERS, *last, "mistake")
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *(f"| {' | '.join(_cells(row))} |" for row in found)]) + "\n"


def _cells(row: dict[str, Any]) -> list[str]:
    module = row["defence"].removeprefix("broken.").partition(":")[0]
    told = None if row["control"] else about(module)
    return [
        row["name"] + (" (control)" if row["control"] else ""),
        told.claimed if told else "",
        told.known if told else "",
        row["network"],
        f"{255 * row['eps']:g}/255",
        *(_number(row[key]) for key in NUMBERS),
        row["verdict"],
        ", ".join(row["flags"]),
        f"{row['passes']:,.0f}",
        mistake(row),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def main() -> None:
    """Measures the rows that are not there yet, and writes board.json and board.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dataset", default="digits", choices=("digits", "cifar10"))
    parser.add_argument("--data", help="the test images, an .npz file; the dataset's own where there is none")
    parser.add_argument("--train", help="likewise the training images, for mixtures and statistics")
    parser.add_argument("--limit", type=int, default=48, help="the number of images")
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--draws", type=int, default=3, help="the draws that judge a random defence")
    parser.add_argument("--row", action="append", help="the rows by name; all where there is none")
    options = parser.parse_args()
    data = load_dataset(options.data or options.dataset).take(options.limit)
    pool = load_dataset(options.train) if options.train else load_dataset(options.dataset, "train")
    done = options.out / "rows"
    done.mkdir(parents=True, exist_ok=True)
    for row in rows(options.dataset):
        path = done / f"{_slug(row.name)}.json"
        if (options.row and row.name not in options.row) or path.exists():
            continue
        found = measure(row, data, pool, options.preset, options.draws, options.out)
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        words = f"worst {_number(found['worst'])}, by hand {found['by hand']:.1f}, {found['verdict']}"
        print(f"{row.name}: {words}; {mistake(found) or 'right'}", flush=True)
    order = [done / f"{_slug(row.name)}.json" for row in rows(options.dataset)]
    board = [json.loads(path.read_text(encoding="utf-8")) for path in order if path.exists()]
    (options.out / "board.json").write_text(json.dumps(board, indent=1) + "\n", encoding="utf-8")
    (options.out / "board.md").write_text(table(board), encoding="utf-8")


if __name__ == "__main__":
    main()
