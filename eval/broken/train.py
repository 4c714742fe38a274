r"""Trains the networks of `trained.py`: small, seeded, on a CPU.

    cd eval && python -m broken.train pgd-at k-wta thermometer adp
    cd eval && python -m broken.train k-wta --dataset cifar10 --data cifar10_train.npz --test cifar10_test.npz

On digits (the default) a ResNet-8 of width 8, about two minutes each; on CIFAR-10 a ResNet-18 of width 16, for a GPU.
weights/cifar10-pgd-at.safetensors was made by the command line, in 84 minutes of one busy CPU core:

    counteract train --dataset cifar10_train.npz --test cifar10_test.npz --arch resnet18 --width 16 \
        --method adversarial --recipe fast --epochs 12 --out pgd-at
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from broken.trained import BUILDERS, Ensemble, weights_of
from counteract import load_model
from counteract.datasets import Dataset, load_dataset
from counteract.models import Card


@dataclass(frozen=True)
class Recipe:
    """A way to train.

    Attributes:
        epochs: Passes over the training images.
        steps: Steps of the PGD that it is trained against; 0 trains on clean images.
        eps: Its bound.
        lr: The highest learning rate, of SGD with Nesterov's momentum of 0.9, weight decay 5e-4 and one cycle.
        batch_size: Images in a step.
        shift: The largest shift of a training image in pixels.
        start: A shipped network whose weights it begins with, which halves the time; None begins with none.
        flip: True mirrors half of the images.
        seed: Of everything that is drawn.
    """

    epochs: int
    steps: int
    eps: float
    lr: float = 0.1
    batch_size: int = 64
    shift: int = 3
    start: str | None = None
    flip: bool = False
    seed: int = 0


RECIPES = {
    "digits": {
        "pgd-at": Recipe(8, 2, 32 / 255, start="digits-resnet-mixup"),
        "k-wta": Recipe(8, 2, 32 / 255, start="digits-resnet-mixup"),
        "thermometer": Recipe(12, 0, 0.0),
        "adp": Recipe(10, 0, 0.0),
    },
    "cifar10": {
        "k-wta": Recipe(9, 4, 8 / 255, batch_size=512, shift=4, start="cifar10-resnet18w16-iat", flip=True),
        "thermometer": Recipe(15, 0, 0.0, lr=0.2, batch_size=512, shift=4, flip=True),
        "adp": Recipe(12, 0, 0.0, lr=0.2, batch_size=512, shift=4, flip=True),
    },
}

ARCHITECTURES = {"digits": ("resnet8", 8), "cifar10": ("resnet18", 16)}
"""Architecture and width by dataset."""


def adp_loss(network: Ensemble, x: Tensor, labels: Tensor, alpha: float = 2.0, beta: float = 0.5) -> Tensor:
    """The loss of adaptive diversity promoting training (Pang et al. 2019).

    The members' cross-entropies, less `alpha` times the entropy of their mean probability, less `beta` times the
    logarithm of the volume that their probabilities of the wrong classes span.
    """
    logits = torch.stack([member(x) for member in network.members], dim=1)
    probabilities = logits.softmax(-1)
    crossed = F.cross_entropy(logits.flatten(0, 1), labels.repeat_interleave(logits.shape[1]))
    mean = probabilities.mean(1)
    entropy = -(mean * (mean + 1e-20).log()).sum(1).mean()
    wrong = probabilities.scatter(-1, labels.view(-1, 1, 1).expand(-1, logits.shape[1], 1), 0.0)
    wrong = F.normalize(wrong + 1e-20, dim=-1)
    volume = torch.linalg.det(wrong @ wrong.transpose(1, 2) + 1e-6 * torch.eye(logits.shape[1], device=x.device))
    loss: Tensor = crossed * logits.shape[1] - alpha * entropy - beta * (volume + 1e-20).log().mean()
    return loss


def moved(images: Tensor, recipe: Recipe) -> Tensor:
    """Shifts images, and mirrors half of them."""
    if recipe.flip and torch.rand(()) < 0.5:
        images = images.flip(-1)
    side, (down, right) = images.shape[-1], torch.randint(0, 2 * recipe.shift + 1, (2,)).tolist()
    padded = F.pad(images, [recipe.shift] * 4)
    return padded[..., down : down + side, right : right + side]


def attacked(network: nn.Module, images: Tensor, labels: Tensor, eps: float, steps: int) -> Tensor:
    """Examples of the network's own, by PGD."""
    network.eval()
    low, high = (images - eps).clamp(min=0), (images + eps).clamp(max=1)
    made = torch.lerp(low, high, torch.rand_like(images))
    for _ in range(steps):
        made.requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(network(made), labels), made)
        made = (made.detach() + 2 * eps / steps * gradient.sign()).clamp(low, high)
    network.train()
    return made


def train(network: nn.Module, data: Dataset, recipe: Recipe, device: str) -> None:
    """Trains a network in place."""
    torch.manual_seed(recipe.seed)
    network.to(device).train()
    batches = len(data) // recipe.batch_size
    descent = torch.optim.SGD(network.parameters(), lr=recipe.lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    cycle = torch.optim.lr_scheduler.OneCycleLR(descent, recipe.lr, total_steps=recipe.epochs * batches)
    for epoch in range(recipe.epochs):
        losses = 0.0
        for rows in torch.randperm(len(data))[: batches * recipe.batch_size].view(batches, -1):
            images, labels = moved(data.read(rows).to(device), recipe), data.labels[rows].to(device)
            if recipe.steps:
                grown = min(1.0, (epoch + 1) / (recipe.epochs / 3))  # the bound grows: at once, it learns nothing
                images = attacked(network, images, labels, grown * recipe.eps, recipe.steps)
            loss = (
                adp_loss(network, images, labels)
                if isinstance(network, Ensemble)
                else F.cross_entropy(network(images), labels)
            )
            descent.zero_grad()
            loss.backward()
            descent.step()
            cycle.step()
            losses += float(loss.detach()) / batches
        print(f"epoch {epoch + 1}: loss {losses:.3f}", flush=True)


def main() -> None:
    """Trains and keeps networks by their names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=BUILDERS)
    parser.add_argument("--dataset", default="digits", choices=RECIPES)
    parser.add_argument("--data", help="the training images, an .npz file; the dataset's own where there is none")
    parser.add_argument("--test", help="likewise the test images")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--folder", type=Path, default=None, help="another place for the weights")
    options = parser.parse_args()
    for name in set(options.names) - set(RECIPES[options.dataset]):
        parser.error(f"{name} on {options.dataset} has no recipe here, but the first lines of this file name a command")
    data = load_dataset(options.data) if options.data else load_dataset(options.dataset, "train")
    test = load_dataset(options.test or options.dataset)
    for name in options.names:
        keep(name, options.dataset, data, test, options.device, options.folder)


def keep(name: str, dataset: str, data: Dataset, test: Dataset, device: str, folder: Path | None) -> None:
    """Trains one network and writes its weights with a card."""
    recipe, (architecture, width) = RECIPES[dataset][name], ARCHITECTURES[dataset]
    images = data.read(torch.arange(min(len(data), 5000)))
    mean, std = images.mean((0, 2, 3)).tolist(), images.std((0, 2, 3)).tolist()
    card = Card(
        architecture=architecture, width=width, class_names=data.class_names, mean=tuple(mean), std=tuple(std),
        dataset=dataset, method=name, recipe=asdict(recipe),
    )  # fmt: skip
    torch.manual_seed(recipe.seed)
    network, begin = BUILDERS[name](card), time.perf_counter()
    if recipe.start is not None:
        network.load_state_dict(load_model(recipe.start).state_dict())
    train(network, data, recipe, device)
    seconds = time.perf_counter() - begin
    network.eval()
    with torch.no_grad():
        rows = torch.arange(min(len(test), 1000))
        right = network(test.read(rows).to(device)).argmax(1).cpu() == test.labels[rows]
    card = card.model_copy(
        update={
            "accuracy": {"clean": 100 * float(right.float().mean()), "n": float(len(rows))},
            "conditions": {"seconds": round(seconds), "torch": torch.__version__, "device": device},
        }
    )
    path = (folder or weights_of(name, dataset).parent) / weights_of(name, dataset).name
    tensors = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    save_file(tensors, path, metadata={"counteract": card.model_dump_json()})
    print(f"{path}: clean {card.accuracy['clean']:.1f}%, {seconds:.0f} s")


if __name__ == "__main__":
    main()
