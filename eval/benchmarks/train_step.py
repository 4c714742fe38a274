"""Images per second of the `fast` IAT step, as a ratio to the same step written plainly, both timed in this run.

Plainly: float32, default layout, no compilation, and two forwards, one for the clean and one for the adversarial half.
Both attack with the recipe's PGD and update the same kind of network. Steps alternate: a busy machine slows both;
the ratio is of each pair, and its median and quartiles are printed.

    python eval/benchmarks/train_step.py [--pairs 15] [--width 16]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console
from timing import seconds
from torch import Tensor, nn

from counteract.datasets import ArrayDataset, Dataset
from counteract.training import Run, load_recipe
from counteract.training.loop import Trainer, make_fabric
from counteract.training.outputs import build_network
from counteract.training.recipe import Recipe

BAR = 1.5


def random_images(count: int) -> Dataset:
    """Images of CIFAR's size; what they show does not matter here."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(count, 3, 32, 32, generator=generator)
    labels = torch.randint(0, 10, (count,), generator=generator)
    return ArrayDataset("random", images, labels, tuple("0123456789"))


def trainer_step(run: Run, dataset: Dataset) -> Callable[[], float]:
    """The step that `counteract train` takes, augmentation, checks and logs included."""
    network = build_network(run.architecture, run.width, dataset, run.seed)
    trainer = Trainer(make_fabric(run), run, network, dataset, Console(quiet=True))
    network.train()
    order = trainer.batches.order(0)
    return lambda: trainer.step(order, 0, 0)


def plain_step(recipe: Recipe, dataset: Dataset, width: int) -> Callable[[], float]:
    """The same step as one would first write it; its batch is ready-made."""
    network = build_network("resnet18", width, dataset, 0)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    x, y = dataset.images[: recipe.batch_size], dataset.labels[: recipe.batch_size]

    def step() -> float:
        network.eval()
        adversarial = plain_pgd(network, x, y, recipe)
        network.train()
        loss = 0.5 * mixup_loss(network, x, y) + 0.5 * mixup_loss(network, adversarial, y)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        return loss.item()

    return step


def plain_pgd(network: nn.Module, x: Tensor, y: Tensor, recipe: Recipe) -> Tensor:
    """Projected gradient ascent from a random start."""
    eps, alpha = recipe.attack_eps / 255, recipe.attack_step / 255
    adversarial = (x + torch.empty_like(x).uniform_(-eps, eps)).clamp(0, 1)
    for _ in range(recipe.attack_steps):
        adversarial.requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(network(adversarial), y), adversarial)
        adversarial = adversarial.detach() + alpha * gradient.sign()
        adversarial = torch.min(torch.max(adversarial, x - eps), x + eps).clamp(0, 1)
    return adversarial


def mixup_loss(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Mixup with a weight per example."""
    weight, partner = torch.rand(len(x)), torch.randperm(len(x))
    w = weight.view(-1, 1, 1, 1)
    logits = network(w * x + (1 - w) * x[partner])
    of_rows, of_partners = (F.cross_entropy(logits, labels, reduction="none") for labels in (y, y[partner]))
    return (weight * of_rows + (1 - weight) * of_partners).mean()


def main() -> None:
    """Times pairs of steps and prints the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--width", type=int, default=16)
    arguments = parser.parse_args()
    recipe = load_recipe("fast", "iat")
    dataset = random_images(2 * recipe.batch_size)
    with tempfile.TemporaryDirectory() as folder:
        fast = trainer_step(Run("resnet18", "iat", recipe, Path(folder), "fast", width=arguments.width), dataset)
        plain = plain_step(recipe, dataset, arguments.width)
        for step in (fast, plain, fast, plain):
            step()
        times = [(seconds(fast), seconds(plain)) for _ in range(arguments.pairs)]
    ratios = sorted(plain_time / fast_time for fast_time, plain_time in times)
    low, median, high = statistics.quantiles(ratios, n=4)
    for name, column in (("fast", 0), ("plain", 1)):
        rate = recipe.batch_size / statistics.median(pair[column] for pair in times)
        print(f"{name:5}  {rate:7.0f} images/s (median)")
    print(f"ratio  {median:.2f}, quartiles {low:.2f} to {high:.2f}, {arguments.pairs} pairs, bar {BAR}")
    print(f"resnet18 of width {arguments.width}, batch {recipe.batch_size}, {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
