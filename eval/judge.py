"""Audits the defences of `broken` that are known to be broken, and the controls that are not: is the judge right?

    python eval/judge.py --out eval/results/judge                 the board: digits, 200 images
    python eval/judge.py --out board --limit 24 --row jpeg        one row, on few images
    python eval/judge.py --out board --dataset cifar10 --data cifar10_test.npz --train cifar10_train.npz

The same command goes on with an interrupted board: a row that is done is not done again, one that was interrupted goes
on where it was. report.md and rows.csv are written after each row, and name the rows that are missing.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from broken.about import about, names
from broken.controls import certified, radius_of
from broken.rows import Row, rows
from broken.trained import weights_of
from broken.yardsticks import case_of, yardstick

from counteract import audit, load_model
from counteract.datasets import Dataset, load_dataset
from counteract.evaluation import RunOptions

WITHIN = 3.0
"""The points by which the suite may miss what an attack by hand finds."""

BROKEN = ("worse than no defence", "gain not confirmed")
"""The verdicts that report a defence as broken."""


def by_hand(row: Row, data: Dataset, pool: Dataset, device: torch.device) -> float:
    """The accuracy that the attack by hand leaves, in percent."""
    images, network = data.read(torch.arange(len(data))).to(device), load_model(row.network).to(device)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        case = case_of(_factory(row), network, pool, images, **row.arguments)
        return yardstick(row.module, case, images, data.labels.to(device), row.eps)


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


def measure(
    row: Row, data: Dataset, pool: Dataset, preset: str, draws: int, folder: Path | None, device: torch.device
) -> dict[str, Any]:
    """Audits one row, and attacks it by hand."""
    begin = time.perf_counter()
    options = RunOptions(device, folder=None if folder is None else folder / "runs" / _slug(row.name))
    network = load_model(row.network)
    effort: dict[str, Any] = {"preset": preset, "seeds": 1, "draws": draws}
    found = audit(row.defence, network, data, eps=row.eps, pool=pool, options=options, **effort)
    seconds = time.perf_counter() - begin
    summary = found.run.summaries[-1]
    own = [each for each in found.run.rows if each.defence == summary.defence]
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
        "by hand": by_hand(row, data, pool, options.device),
        "certified": certificate(row, data),
        "verdict": found.verdict,
        "reason": found.decision.reason,
        "flags": [check.name for check in found.checks if check.flag],
        "passes": sum(each.attack_passes or 0.0 for each in own),
        "seconds": round(seconds),
        "attacks": {each.attack: round(each.accuracy, 2) for each in own},
        "findings": {check.name: check.words for check in found.checks if check.flag},
        "environment": dict(found.run.environment),
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
        return "false alarm" if found["flags"] or found["verdict"] in BROKEN else ""
    if worst > found["by hand"] + WITHIN:
        return f"{worst - found['by hand']:.1f} points short of the attack by hand"
    nothing = found["by hand"] <= found["undefended"] + WITHIN
    return "a gain is believed" if nothing and found["verdict"] == "sound" else ""


_READING = f"""\
Accuracies are in percent. `by hand` is left by the attack that the literature names, written out for that defence
alone; the audit is not told of it. A mistake is a worst case more than {WITHIN:g} points above it, a gain that is
believed and is none, a control with a flag or with a verdict that reports it broken, or a worst case below what is
certified. Figures marked (M) are from memory."""


def report(found: Sequence[dict[str, Any]], settings: dict[str, Any], missing: Sequence[str]) -> str:
    """The board as a page of Markdown."""
    controls = sum(row["control"] for row in found)
    mistakes = sum(bool(mistake(row)) for row in found)
    lines = [
        "# The judge, judged",
        "",
        f"{len(found) - controls} defences that are known to be broken and {controls} controls that are not, audited",
        f"on {settings['limit']} images of {settings['dataset']} with the preset {settings['preset']}, one seed and",
        f"{settings['draws']} draws of a random defence.",
        _READING,
        "",
        f"Mistakes: {mistakes} of {len(found)}.",
        *(["", f"**Not measured yet:** {'; '.join(missing)}."] if missing else []),
        "",
        _table(COLUMNS, map(_cells, found)),
        "",
        "## Accounts",
        "",
        _table(("defence", "source", "broken by"), map(_account, names())),
        "",
    ]
    return "\n".join(lines)


NUMBERS = ("clean", "undefended", "oblivious", "adaptive", "worst", "by hand", "certified")
"""The accuracies of the board."""

COLUMNS = (
    "defence", "claimed", "published truth", "network", "eps", *NUMBERS, "verdict", "flags", "passes an image",
    "mistake",
)  # fmt: skip
"""The columns of the board."""


def _table(columns: Sequence[str], rows_: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows_]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _account(name: str) -> list[str]:
    told = about(name)
    return [name, told.source, told.broken_by]


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


def write(out: Path, every: Sequence[Row], settings: dict[str, Any]) -> None:
    """Writes report.md and rows.csv from the rows that are done."""
    done = {row.name: _place(out, row) for row in every if _place(out, row).exists()}
    found = [json.loads(path.read_text(encoding="utf-8")) for path in done.values()]
    missing = [row.name for row in every if row.name not in done]
    (out / "report.md").write_text(report(found, settings, missing), encoding="utf-8")
    with (out / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(map(_cells, found))


def _place(out: Path, row: Row) -> Path:
    return out / "rows" / f"{_slug(row.name)}.json"


def _options() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the board's folder")
    parser.add_argument("--dataset", default="digits", choices=("digits", "cifar10"))
    parser.add_argument("--data", help="the test images, an .npz file; the dataset's own where there is none")
    parser.add_argument("--train", help="likewise the training images, for mixtures and statistics")
    parser.add_argument("--limit", type=int, default=200, help="the number of images (200)")
    parser.add_argument("--preset", default="quick", help="the effort of the attacks (quick)")
    parser.add_argument("--draws", type=int, default=3, help="the draws that judge a random defence (3)")
    parser.add_argument("--device", default="cpu", help="the place of the computation (cpu)")
    parser.add_argument("--row", action="append", help="a row by its name, as often as wished; all where there is none")
    return parser, parser.parse_args()


def main() -> None:
    """Measures the rows that are not there yet."""
    parser, options = _options()
    every = rows(options.dataset)
    known = [row.name for row in every]
    if unknown := [name for name in options.row or () if name not in known]:
        parser.error(f"--row {unknown[0]}: there is none; there are {', '.join(known)}")
    settings = {name: getattr(options, name) for name in ("dataset", "data", "train", "limit", "preset", "draws")}
    place = options.out / "settings.json"
    if place.exists() and (others := json.loads(place.read_text(encoding="utf-8"))) != settings:
        parser.error(f"{options.out} was measured with {others}: take another folder, or these settings")
    (options.out / "rows").mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    data = load_dataset(options.data or options.dataset).take(options.limit)
    pool = load_dataset(options.train) if options.train else load_dataset(options.dataset, "train")
    for row in every:
        path = _place(options.out, row)
        if (options.row and row.name not in options.row) or path.exists():
            continue
        if lacking := [name for name in row.trained if not weights_of(name, options.dataset).is_file()]:
            print(f"{row.name} is left out: train {' and '.join(lacking)} first (broken/train.py)", flush=True)
            continue
        found = measure(row, data, pool, options.preset, options.draws, options.out, torch.device(options.device))
        partial = path.with_suffix(".part")
        partial.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        partial.replace(path)
        words = f"worst {_number(found['worst'])}, by hand {found['by hand']:.1f}, {found['verdict']}"
        print(f"{row.name}: {words}; {mistake(found) or 'right'}", flush=True)
        write(options.out, every, settings)
    write(options.out, every, settings)


if __name__ == "__main__":
    main()
