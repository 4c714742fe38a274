"""Images per second of both trainers and of counteraction, as fractions of this device's matrix throughput.

    python eval/benchmarks/throughput.py [--arch resnet50] [--width 64] [--recipe fast] [--out throughput.json]

The floating-point operations of an image are counted, not estimated. They are given as fractions of the rate of one
large square matrix product in the precision in which the subject computes, timed in the same run. The limit of
a subject shows in `busy`, the share of the time in which a GPU has work at all, and in its costliest operations.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import timing
import torch
from flops import FlopCount
from torch.profiler import ProfilerActivity, profile
from train_step import random_images, trainer_step

from counteract import Counteraction
from counteract._folding import folded
from counteract.training import Method, Recipe, Run, load_recipe
from counteract.training.outputs import build_network

METHODS: tuple[Method, ...] = ("mixup", "iat")
ROUNDS, LEAST_SECONDS = 3, 0.3
NUM_LABELS = 9

Step = Callable[[], object]


@dataclass(frozen=True)
class Subject:
    """Something whose speed is measured.

    Attributes:
        name: Its name.
        images: The number of images of a step.
        precision: The precision that it computes in: a name of `matmul_rate`.
        step: Does it once.
        countable: The same without compilation, whose operations can be counted.
    """

    name: str
    images: int
    precision: str
    step: Step
    countable: Step


@dataclass(frozen=True)
class Speed:
    """The measurements of a subject: medians, and the range over the rounds."""

    name: str
    precision: str
    images_per_step: int
    images_per_second: float
    slowest: float
    fastest: float
    flops_per_image: float
    fraction_of_matmul: float
    busy: float | None
    costliest: dict[str, float]


def wait(device: torch.device) -> None:
    """Waits until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def rates(step: Step, device: torch.device) -> list[float]:
    """Steps per second, once a round; a round has as many steps as last long enough to be timed."""
    for _ in range(2):
        step()
    found = []
    for _ in range(ROUNDS):
        wait(device)
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < LEAST_SECONDS:
            step()
            count += 1
        wait(device)
        found.append(count / (time.perf_counter() - began))
    return found


@contextmanager
def tensor_cores(allowed: bool) -> Iterator[None]:
    """Lets float32 matrix products on a GPU use TF32, or not."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def matmul_rate(precision: str, device: torch.device) -> float:
    """Floating-point operations per second of one large square matrix product."""
    size = 8192 if device.type == "cuda" else 1024
    dtype = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(precision, torch.float32)
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    with tensor_cores(precision == "tf32"):
        return 2 * size**3 * statistics.median(rates(lambda: a @ b, device))


def precision_of(recipe: Recipe | None, device: torch.device) -> str:
    """The precision of convolutions: a recipe's, or without one float32, which on GPUs may mean TF32."""
    if recipe is not None and recipe.precision != "32-true":
        return {"bf16-mixed": "bfloat16", "16-mixed": "float16"}[recipe.precision]
    return "tf32" if device.type == "cuda" and torch.backends.cudnn.allow_tf32 else "float32"


def trainer(method: Method, options: argparse.Namespace, folder: Path, device: torch.device) -> Subject:
    """The step of `counteract train`, which keeps a log in `folder`."""
    recipe = load_recipe(options.recipe, method)
    dataset = random_images(2 * recipe.batch_size)

    def step(compiled: bool) -> Step:
        changed = recipe.model_copy(update={"compile": compiled})
        run = Run(options.arch, method, changed, folder, options.recipe, width=options.width)
        return trainer_step(run, dataset)

    precision = precision_of(recipe, device)
    return Subject(f"train {method}", recipe.batch_size, precision, step(recipe.compile), step(False))


def counteraction(options: argparse.Namespace, device: torch.device) -> Subject:
    """Counteraction as an evaluation runs it."""
    dataset = random_images(options.batch_size)
    images = dataset.images.to(device)
    network = folded(build_network(options.arch, options.width, dataset, 0).eval().to(device), images)
    network.to(memory_format=torch.channels_last)
    defence = Counteraction(network, num_labels=NUM_LABELS)

    def step() -> object:
        with torch.no_grad():
            return defence.forward(images)

    precision = precision_of(None, device)
    return Subject(f"counteraction, N = {NUM_LABELS}", options.batch_size, precision, step, step)


def profiled(step: Step, device: torch.device) -> tuple[float | None, dict[str, float]]:
    """The share of the time in which a GPU is busy, and the operations that cost most, with their shares."""
    cuda = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]) as seen:
        began = time.perf_counter()
        for _ in range(3):
            step()
        wait(device)
        microseconds = 1e6 * (time.perf_counter() - began)
    events = [event for event in seen.key_averages() if event.device_type.name == ("CUDA" if cuda else "CPU")]
    costs = {event.key: event.self_device_time_total if cuda else event.self_cpu_time_total for event in events}
    total = sum(costs.values()) or 1.0
    most = sorted(costs, key=lambda name: -costs[name])[:5]
    return total / microseconds if cuda else None, {name[:80]: round(costs[name] / total, 3) for name in most}


def measure(subject: Subject, peak: float, device: torch.device) -> Speed:
    """Measures one subject."""
    with FlopCount() as counter:  # type: ignore[no-untyped-call]
        subject.countable()
    flops = counter.total / subject.images
    speeds = [subject.images * rate for rate in rates(subject.step, device)]
    middle = statistics.median(speeds)
    busy, costliest = profiled(subject.step, device)
    return Speed(
        subject.name,
        subject.precision,
        subject.images,
        middle,
        min(speeds),
        max(speeds),
        flops,
        middle * flops / peak,
        busy,
        costliest,
    )


def describe(device: torch.device) -> dict[str, object]:
    """The conditions of the measurement."""
    cuda = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if cuda else "CPU",
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda if cuda else None,
        "threads": torch.get_num_threads(),
    }


def print_table(matmul: dict[str, float], speeds: list[Speed]) -> None:
    """Prints what was measured, a line for each."""
    for precision, rate in matmul.items():
        print(f"matrix product, {precision:9} {rate / 1e12:9.2f} TFLOP/s")
    for speed in speeds:
        busy = "" if speed.busy is None else f", GPU busy {speed.busy:.0%}"
        print(
            f"{speed.name:21} {speed.images_per_second:10.0f} images/s ({speed.slowest:.0f} to {speed.fastest:.0f}), "
            f"{speed.flops_per_image / 1e9:.3g} GFLOP an image, "
            f"{speed.fraction_of_matmul:.1%} of the {speed.precision} matrix product{busy}"
        )


def main() -> None:
    """Measures, prints, and writes JSON if told where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="resnet50")
    parser.add_argument("--width", type=int)
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--batch-size", type=int, default=500, help="images that are counteracted at once")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    device = timing.device()
    with tempfile.TemporaryDirectory() as folder:
        subjects = [trainer(method, options, Path(folder), device) for method in METHODS]
        subjects.append(counteraction(options, device))
        matmul = {name: matmul_rate(name, device) for name in dict.fromkeys(subject.precision for subject in subjects)}
        speeds = [measure(subject, matmul[subject.precision], device) for subject in subjects]
    print_table(matmul, speeds)
    if options.out is not None:
        chosen = {"arch": options.arch, "width": options.width, "recipe": options.recipe}
        content = describe(device) | chosen | {"matmul": matmul, "speeds": [asdict(speed) for speed in speeds]}
        options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
