"""How the cost grows with labels, with executions and with examples, and what a second process is worth.

    python eval/benchmarks/growth.py [--images 16] [--repeats 3] [--width 64] [--examples 1000 10000 20000]

Labels and executions are timed on a ResNet-18 of random weights, in units of a plain forward pass in the same round.
The examples, random images in an .npz file, go through `counteract evaluate` as a whole command on the small digits
network, counteraction under PGD-10; the straight line through the last two says what a million would take.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from subjects import image_options, random_images, random_resnet18
from timing import conditions, rounds, show
from torch import Tensor, nn

from counteract import Counteraction, DefendedModule, RandomCropResize
from counteract._network import folded

LABELS = (1, 3, 9, 20, 50, 99)
EXECUTIONS = (1, 5, 20, 50, 100)
MILLION = 1_000_000


def in_forwards(
    what: str, calls: Mapping[int, Callable[[Tensor], object]], net: nn.Module, x: Tensor, repeats: int
) -> None:
    """Times what was made for one number or another of something, and prints it in units of a plain forward pass."""
    contestants: dict[str, Callable[[], object]] = {"forward": partial(net, x)}
    contestants |= {str(number): partial(call, x) for number, call in calls.items()}
    found = rounds(contestants, repeats)
    for number in calls:
        show(f"plain forwards: {number} {what}", [r[str(number)] / r["forward"] for r in found])


def command(images: Path, processes: int, threads: int) -> tuple[float, float]:
    """Runs `counteract evaluate` on all images of a file: its seconds, and the peak memory of a process in GiB."""
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)] if processes > 1 else []
    cells = ["--defence=none", "--defence=counteraction", "--attack=none", "--attack=pgd10", f"--limit={images.stem}"]
    place = ["--cache", tempfile.mkdtemp(dir=images.parent), "--model", "digits-resnet-mixup"]
    call = [sys.executable, *launcher, "-m", "counteract", "evaluate", "--dataset", str(images), *place, *cells]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    start = time.perf_counter()
    process = subprocess.Popen(call, env=environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(call)} failed")
    return time.perf_counter() - start, used.ru_maxrss / 2**20


def by_examples(counts: Sequence[int]) -> None:
    """Whole commands on more and more examples, and the middle number of them once more in two processes."""
    with tempfile.TemporaryDirectory() as folder:
        files = {count: write_random(Path(folder), count) for count in counts}
        cores = os.cpu_count() or 1
        found = {count: command(images, processes=1, threads=cores) for count, images in files.items()}
        middle = counts[len(counts) // 2]
        alone = command(files[middle], processes=1, threads=1)[0]
        pair = command(files[middle], processes=2, threads=1)[0]
    seconds, memory = zip(*found.values(), strict=True)
    for count, (took, peak) in found.items():
        print(f"{took:8.1f}  seconds, {count} examples, {cores} threads; peak memory {peak:.2f} GiB")
    print(f"{extrapolated(counts, seconds) / 3600:8.1f}  hours: a million examples, extrapolated")
    print(f"{extrapolated(counts, memory):8.1f}  GiB: a million examples, extrapolated")
    print(f"{alone / pair:8.2f}  times faster: two processes of one thread against one, {middle} examples")
    print(f"{found[middle][0] / pair:8.2f}  times faster: the same against one process of {cores} threads")


def write_random(folder: Path, count: int) -> Path:
    """Writes random images with random labels in the format of the datasets, and says where."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    labels = generator.integers(0, 10, count)
    path = folder / f"{count}.npz"
    np.savez(path, images=images, labels=labels, class_names=np.array([str(number) for number in range(10)]))
    return path


def extrapolated(counts: Sequence[int], values: Sequence[float]) -> float:
    """What a million examples would take, on the straight line through the two largest numbers of them."""
    each = (values[-1] - values[-2]) / (counts[-1] - counts[-2])
    return values[-1] + each * (MILLION - counts[-1])


def main() -> None:
    """Prints how the cost grows, one cause after the other."""
    parser = image_options("how the cost grows", repeats=3, images=16)
    parser.add_argument("--examples", type=int, nargs="+", default=[1000, 10_000, 20_000])
    options = parser.parse_args()
    x = random_images(options.images)
    hundred, ten = (folded(random_resnet18(options.width, classes)) for classes in (100, 10))
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
