"""Writes SUMMARY.md into the folder of a full run: what is there of networks, tables, speeds and times, and no more.

python eval/full/summary.py FOLDER
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

METHODS = ("mixup", "iat")
TABLES = ("table1", "table3", "table4")


def read(path: Path) -> Any:
    """A JSON file's content, or None where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def table(*rows: tuple[object, ...]) -> Iterator[str]:
    """A Markdown table's lines; the first row is its head."""
    for number, row in enumerate(rows):
        yield "| " + " | ".join(map(str, row)) + " |"
        if number == 0:
            yield "|" + " --- |" * len(row)
    yield ""


def networks(folder: Path) -> Iterator[str]:
    """The networks: recipe, data, and accuracies on the test images."""
    for method in METHODS:
        card, weights = read(folder / method / "card.json"), folder / method / "model.safetensors"
        if card is None or not weights.is_file():
            continue
        found, recipe = card["accuracy"], card["recipe"]
        accuracy = [f"{found[k]:.2f} [{found[f'{k}_low']}, {found[f'{k}_high']}]" for k in ("clean", "pgd20")]
        yield f"## {method}: {card['architecture']} of width {card['width']}"
        yield ""
        yield from table(
            ("what", "value"),
            ("recipe", f"{recipe['name']}, {recipe['epochs']} epochs, {recipe['precision']}, seed {recipe['seed']}"),
            (f"clean accuracy in percent, n = {found['n']:.0f}, 95% interval", accuracy[0]),
            (f"under PGD-20 at {found['eps']:g}/255", accuracy[1]),
            *((f"trained: {name}", value) for name, value in card["conditions"].items()),
            ("SHA-256 of `model.safetensors`", f"`{hashlib.sha256(weights.read_bytes()).hexdigest()}`"),
        )


def tables(folder: Path) -> Iterator[str]:
    """The tables that there are, and the conditions under which they were measured."""
    there = {name: read(folder / name / "results.json") for name in TABLES}
    yield "## Tables"
    yield ""
    yield from table(
        ("table", "complete", "networks", "images", "seeds", "device", "torch"),
        *(
            (
                f"[{name}]({name}/report.md)",
                "yes" if results["complete"] else "no",
                ", ".join(results["spec"]["models"]),
                max(row["n"] for row in results["rows"]),
                results["spec"]["seeds"],
                results["environment"]["device"],
                results["environment"]["torch"],
            )
            for name, results in there.items()
            if results is not None
        ),
    )


def speeds(folder: Path) -> Iterator[str]:
    """The speeds that throughput.py measured."""
    found = read(folder / "throughput.json")
    if found is None:
        return
    yield f"## Speed: {found['arch']}, recipe {Path(found['recipe']).stem}, {found['device']}, torch {found['torch']}"
    yield ""
    head = (
        "what",
        "images/s",
        "GFLOP an image",
        "precision",
        "of the matrix product",
        "GPU busy",
        "costliest operation",
    )
    yield from table(
        head,
        *(
            (
                speed["name"],
                f"{speed['images_per_second']:.0f} ({speed['slowest']:.0f} to {speed['fastest']:.0f})",
                f"{speed['flops_per_image'] / 1e9:.3f}",
                speed["precision"],
                f"{speed['fraction_of_matmul']:.1%}",
                "" if speed["busy"] is None else f"{speed['busy']:.0%}",
                "".join(f"`{name}` {share:.0%}" for name, share in list(speed["costliest"].items())[:1]),
            )
            for speed in found["speeds"]
        ),
    )
    for precision, rate in found["matmul"].items():
        yield f"- one large matrix product in {precision}: {rate / 1e12:.2f} TFLOP/s"
    yield ""


def times(folder: Path) -> Iterator[str]:
    """The time of each stage, over all of its calls that were not killed from outside."""
    journal = folder / "stages.csv"
    text = journal.read_text(encoding="utf-8") if journal.is_file() else ""
    lines = [(stage, int(seconds)) for stage, _, seconds, *_ in csv.reader(text.splitlines())]
    names = dict.fromkeys(name for name, _ in lines)
    spent = {name: [seconds for found, seconds in lines if found == name] for name in names}
    yield "## Times"
    yield ""
    yield from table(("stage", "seconds", "calls"), *((name, sum(s), len(s)) for name, s in spent.items()))


def main() -> None:
    """Writes the summary."""
    folder = Path(sys.argv[1])
    settings = dict(line.split("=", 1) for line in (folder / "settings").read_text(encoding="utf-8").splitlines())
    chosen = ((name, Path(value).name) for name, value in settings.items() if value)
    lines = [
        "# The full run",
        "",
        *table(("option", "value"), *chosen),
        *networks(folder),
        *tables(folder),
        *speeds(folder),
        *times(folder),
    ]
    (folder / "SUMMARY.md").write_text("\n".join(lines), encoding="utf-8")
    print(folder / "SUMMARY.md")


if __name__ == "__main__":
    main()
