"""The two ends of a training: the untrained network, and the files that a trained one is written to."""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Callable
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import nn

from counteract._errors import UserError
from counteract._files import write_atomically
from counteract._memory import most_memory
from counteract.datasets import Dataset
from counteract.models.files import Card, load_network, save_network
from counteract.models.resnet import ARCHITECTURES, ResNet
from counteract.training.progress import Row


def build_network(architecture: str, width: int | None, train_set: Dataset, seed: int) -> ResNet:
    """Makes a network whose weights are drawn by `seed`, and which normalises by the mean and deviation of the images.

    A channel that is the same everywhere is divided by 1.

    Raises:
        UserError: (a ValueError) the architecture is unknown, the network too large, or the images have no three
            channels.
    """
    if architecture not in ARCHITECTURES:
        raise UserError(f"--arch {architecture!r} is not known; known: {', '.join(ARCHITECTURES)}")
    if train_set.image_shape[0] != 3:
        raise UserError(
            f"--dataset {train_set.name} has images of {train_set.image_shape[0]} channel; these networks take three: "
            "repeat it, or store RGB images"
        )
    std, mean = torch.std_mean(train_set.images, (0, 2, 3))
    std = std.where(std.round(decimals=4) > 0, 1.0)
    make = functools.partial(
        ARCHITECTURES[architecture],
        num_classes=train_set.num_classes,
        mean=[round(value, 4) for value in mean.tolist()],
        std=[round(value, 4) for value in std.tolist()],
        **({} if width is None else {"width": width}),
    )
    _check_size(make, width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def _check_size(make: Callable[[], ResNet], width: int | None) -> None:
    """Raises UserError for a network whose weights memory does not hold."""
    try:
        with torch.device("meta"):
            size = sum(weights.nbytes for weights in make().parameters())
    except (RuntimeError, TypeError, OverflowError):  # a width beyond what tensors can count
        size = 2**63
    if size > most_memory():
        raise UserError(f"--width {width}: the weights of such a network take more than half of this machine's memory")


def begin_with(network: ResNet, path: Path) -> None:
    """Gives a network the weights of a file that an earlier run wrote.

    Raises:
        UserError: (a ValueError) the file cannot be read, or holds another kind of network.
    """
    try:
        network.load_state_dict(load_network(path).state_dict())
    except RuntimeError as error:
        raise UserError(f"--init {path} holds another network than --arch, --width and --dataset make") from error


def width_of(network: ResNet) -> int:
    """Channels after the stem."""
    stem: nn.Conv2d = network.stem.get_submodule("0")  # type: ignore[assignment]
    return stem.out_channels


def conditions(fabric: Fabric, history: list[Row]) -> dict[str, str | int | float]:
    """Returns machine and duration of a run: sums over its epochs, interrupted or not."""
    if fabric.device.type == "cuda":
        device = torch.cuda.get_device_name(fabric.device)
    else:
        device = f"{platform.machine()} CPU, {os.cpu_count()} cores"
    return {
        "seconds": round(sum(row["seconds"] for row in history)),
        "device": device,
        "processes": fabric.world_size,
        "torch": str(torch.__version__),
    }


def save_outputs(folder: Path, network: ResNet, card: Card) -> None:
    """Writes model.safetensors and card.json.

    Raises:
        UserError: (a ValueError) they cannot be written.
    """
    save_network(network, card, folder / "model.safetensors")
    write_atomically(folder / "card.json", (card.model_dump_json(indent=2) + "\n").encode())
