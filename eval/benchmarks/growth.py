"""Growth of the cost with labels, with executions and with examples, and the worth of a second process.

    python eval/benchmarks/growth.py [--images 16] [--repeats 3] [--width 64] [--examples 1000 10000 20000]

Labels and executions are timed on a ResNet-18 of random weights, in units of a forward pass in the same round.
The examples, random images in an .npz file, go through `counteract evaluate` as a whole command on the small digits
network, counteraction under PGD-10; the straight line through the last two says what a million would take. Memory has a
benchmark of its own, memory.py.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from command import evaluate, write_random
from subjects import image_options, random_images, random_resnet18
from timing import conditions, rounds, show
from torch import Tensor, nn

from counteract import Counteraction, DefendedModule, RandomCropResize
from counteract._folding import folded

LABELS = (1, 3, 9, 20, 50, 99)
EXECUTIONS = (1, 5, 20, 50, 100)
MILLION = 1_000_000


def in_forwards(
    what: str, calls: Mapping[int, Callable[[Tensor], object]], net: nn.Module, x: Tensor, repeats: int
) -> None:
    """Times what was made for one number or another of something, and prints it in units of a forward pass."""
    contestants: dict[str, Callable[[], object]] = {"forward": partial(net, x)}
    contestants |= {str(number): partial(call, x) for number, call in calls.items()}
    found = rounds(contestants, repeats)
    for number in calls:
        show(f"forward passes: {number} {what}", [r[str(number)] / r["forward"] for r in found])


def by_examples(counts: Sequence[int]) -> None:
    """Whole commands on more and more examples, and the middle number of them once more in two processes."""
    cells = ["--defence=undefended", "--defence=counteraction", "--attack=clean", "--attack=pgd10"]
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:

        def seconds(count: int, processes: int, threads: int) -> float:
            arguments = [*cells, "--model=digits-resnet-mixup", f"--limit={count}"]
            return evaluate(files[count], arguments, processes=processes, threads=threads).seconds

        files = {count: write_random(Path(folder), count) for count in counts}
        found = {count: seconds(count, 1, cores) for count in files}
        middle = counts[len(counts) // 2]
        alone, pair = seconds(middle, 1, 1), seconds(middle, 2, 1)
    for count, took in found.items():
        print(f"{took:8.1f}  seconds, {count} examples, {cores} threads")
    print(f"{extrapolated(counts, list(found.values())) / 3600:8.1f}  hours: a million examples, extrapolated")
    print(f"{alone / pair:8.2f}  times faster: two processes of one thread against one, {middle} examples")
    print(f"{found[middle] / pair:8.2f}  times faster: the same against one process of {cores} threads")


def extrapolated(counts: Sequence[int], values: Sequence[float]) -> float:
    """Returns the value for a million examples, on the straight line through the two largest numbers of them."""
    each = (values[-1] - values[-2]) / (counts[-1] - counts[-2])
    return values[-1] + each * (MILLION - counts[-1])


def main() -> None:
    """Prints how the cost grows, one cause after the other."""
    parser = image_options("how the cost grows", repeats=3, images=16)
    parser.add_argument("--examples", type=int, nargs="+", default=[1000, 10_000, 20_000])
    options = parser.parse_args()
    x = random_images(options.images)
    hundred, ten = (folded(random_resnet18(options.width, classes), x) for classes in (100, 10))
    print(conditions(f"resnet18 of width {options.width}, {options.images} images"))
    labels = {n: Counteraction(hundred, num_labels=n).forward for n in LABELS}
    crops = {n: DefendedModule(ten, transforms=[RandomCropResize()], executions=n) for n in EXECUTIONS}
    with torch.no_grad():
        in_forwards("labels; the limit is one more", labels, hundred, x, options.repeats)
        in_forwards("executions, which is the limit", crops, ten, x, options.repeats)
    print(conditions("counteract evaluate, ResNet-8, counteraction under PGD-10"))
    by_examples(sorted(options.examples))


if __name__ == "__main__":
    main()
