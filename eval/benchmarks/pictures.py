"""Pictures of ImageNet's size: peak memory by their number, and the share of the time outside of the network.

    python eval/benchmarks/pictures.py [--pictures 256 2048] [--network resnet50] [--workers 2] [--attack clean]

JPEG files of 500 x 375, as most of ImageNet's, go through `counteract evaluate` as a process of its own, which reads
them twice: once for their hashes, once for the network, one of torchvision's with random weights. Outside of it is
everything that is no call of its forward method and no gradient: imports, reading, attacks, judging, writing.
"""

from __future__ import annotations

import argparse
import atexit
import os
import tempfile
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import torch
from command import evaluate
from PIL import Image
from torch import Tensor, nn

from counteract.models import load_model

_NETWORK, _REPORT = "PICTURES_NETWORK", "PICTURES_REPORT"
"""The variables that tell the command's process the network, and where to write what it took."""

_SPENT = [0.0]
"""The seconds in the network so far."""

CLASSES = 10


def _timed(call: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the same function, whose time counts as the network's."""

    @wraps(call)
    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return call(*args, **kwargs)
        finally:
            _SPENT[0] += time.perf_counter() - start

    return timed


class Timed(nn.Module):
    """A network that counts its seconds, those of gradients included."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    @_timed
    def forward(self, x: Tensor) -> Any:
        """Asks the network."""
        return self.network(x)


def timed() -> nn.Module:
    """The factory of `--model pictures:timed`: the network, which writes its seconds when the process ends."""
    torch.autograd.grad = _timed(torch.autograd.grad)
    report = Path(os.environ[_REPORT])
    atexit.register(lambda: report.write_text(str(_SPENT[0]), encoding="utf-8"))
    name = os.environ[_NETWORK]
    if name == "tiny":
        return Timed(nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, CLASSES)))
    return Timed(load_model(f"torchvision:{name}(num_classes={CLASSES})", untrained=True))


def write_pictures(folder: Path, count: int, width: int, height: int) -> None:
    """Writes JPEG files into a folder for each class; their detail is that of photographs, not of noise."""
    random = np.random.default_rng(0)
    for number in range(count):
        place = folder / f"class {number % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        coarse = random.integers(0, 256, (max(1, height // 16), max(1, width // 16), 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        picture.save(place / f"{number}.jpg", quality=90)


def main() -> None:
    """Measures each number of pictures, and prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, nargs="+", default=[256, 2048])
    parser.add_argument("--network", default="resnet50", help="one of torchvision's, or tiny")
    parser.add_argument("--width", type=int, default=500)
    parser.add_argument("--height", type=int, default=375)
    parser.add_argument("--crop", type=int, default=224)
    parser.add_argument("--attack", action="append", help="clean alone unless others are named; repeats")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, help="of the command; by default torch's own choice")
    options = parser.parse_args()
    cells = ["--defence=undefended", *(f"--attack={name}" for name in options.attack or ["clean"]), "--eps=4/255"]
    prepared = [f"--resize={options.crop * 256 // 224}", f"--crop={options.crop}", f"--workers={options.workers}"]
    print(
        "| pictures | seconds | outside of the network | peak memory, MiB | ratio to the first |\n|---|---|---|---|---|"
    )
    first = None
    for count in options.pictures:
        with tempfile.TemporaryDirectory() as made:
            report, pictures = Path(made) / "report", Path(made) / "pictures"
            os.environ[_REPORT], os.environ[_NETWORK] = str(report), options.network
            write_pictures(pictures, count, options.width, options.height)
            words = ["--model=pictures:timed", f"--limit={count}", *cells, *prepared]
            spent = evaluate(pictures, words, threads=options.threads, folder=Path(__file__).parent)
            outside = 1 - float(report.read_text(encoding="utf-8")) / spent.seconds
        first = first or spent.peak
        row = f"| {count:,} | {spent.seconds:.1f} | {outside:.1%} | {spent.peak:.0f} | {spent.peak / first:.3f} |"
        print(row, flush=True)


if __name__ == "__main__":
    main()
