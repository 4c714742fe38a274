"""Peak memory of `counteract evaluate` by the number of examples: it should not grow with it.

    python eval/benchmarks/memory.py [--examples 1000 10000 100000] [--few 1000 1000000] [--width 8]

Random images of 32 x 32 in an uncompressed .npz file go through the command as a process of its own, and the system
says how much memory it held at most: on a ResNet-8 of random weights, undefended and with counteraction of nine labels,
clean and under PGD-10; then on a network of a few weights, undefended and clean alone, which even a million examples
do not keep long. Each row is also given as a ratio to the first of its network.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from command import Spent, evaluate, write_random
from torch import nn

from counteract.models import Card, save_network

CLASS_NAMES = tuple("0123456789")


def few_weights() -> nn.Module:
    """A network of 40 weights: an image's mean colour, and a matrix. The factory of `--model memory:few_weights`."""
    torch.manual_seed(0)
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, len(CLASS_NAMES)))


def write_resnet8(path: Path, width: int) -> None:
    """Saves a ResNet-8 of random weights."""
    torch.manual_seed(0)
    card = Card(
        architecture="resnet8",
        width=width,
        class_names=CLASS_NAMES,
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
        dataset="random",
        method="standard",
    )
    save_network(card.build(), card, path)


def measure(counts: Sequence[int], arguments: list[str], *, threads: int | None) -> dict[int, Spent]:
    """Runs the command on each number of examples."""
    found = {}
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            images = write_random(Path(folder), count)
            limit = ["--limit", str(count)]
            found[count] = evaluate(images, [*arguments, *limit], threads=threads, folder=Path(__file__).parent)
        ours = _held()
        if ours >= found[count].peak:  # a process begins with the peak of the one that started it
            raise SystemExit(f"this script held {ours:.0f} MiB, which hides the command's own peak")
    return found


def _held() -> float:
    """Returns this script's own peak in MiB, without that of whoever started it where the system tells them apart."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    found = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return (found[0] if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 2**10


def rows(network: str, found: dict[int, Spent]) -> list[str]:
    """Returns the rows of the table about one network."""
    first = next(iter(found.values())).peak
    return [
        f"| {network} | {count:,} | {spent.seconds:.1f} | {spent.peak:.0f} | {spent.peak / first:.3f} |"
        for count, spent in found.items()
    ]


def main() -> None:
    """Measures, and prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument(
        "--few", type=int, nargs="*", default=[1000, 1_000_000], help="for the network of a few weights"
    )
    parser.add_argument("--width", type=int, default=8, help="of the ResNet-8")
    parser.add_argument("--threads", type=int, help="of the command; by default torch's own choice")
    options = parser.parse_args()
    print("| network | examples | seconds | peak memory, MiB | ratio to the first |\n|---|---|---|---|---|")
    if options.examples:
        with tempfile.TemporaryDirectory() as folder:
            weights = Path(folder) / "resnet8.safetensors"
            write_resnet8(weights, options.width)
            cells = ["--defence=undefended", "--defence=counteraction", "--attack=clean", "--attack=pgd10"]
            found = measure(options.examples, ["--model", str(weights), *cells], threads=options.threads)
        print("\n".join(rows(f"ResNet-8 of width {options.width}", found)), flush=True)
    if options.few:
        arguments = ["--model", "memory:few_weights", "--defence=undefended", "--attack=clean"]
        found = measure(options.few, arguments, threads=options.threads)
        print("\n".join(rows("40 weights, clean alone", found)))


if __name__ == "__main__":
    main()
