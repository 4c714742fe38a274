"""The subjects of the benchmarks: a ResNet-18 of random weights on random images, or the paper's Table 1."""

from __future__ import annotations

import argparse

import torch
from timing import device
from torch import Tensor

from counteract.evaluation import EvaluationSpec, make_spec, read_spec, with_models
from counteract.models import ResNet, resnet18


def image_options(description: str, repeats: int, images: int = 32) -> argparse.ArgumentParser:
    """The options of a benchmark that times rounds on some images."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--images", type=int, default=images)
    parser.add_argument("--repeats", type=int, default=repeats)
    parser.add_argument("--width", type=int, default=64, help="64 is the usual one; the shipped ResNet-18 has 16")
    return parser


def random_images(count: int) -> Tensor:
    """Images of CIFAR's size, on the device."""
    torch.manual_seed(0)
    return torch.rand(count, 3, 32, 32, device=device())


def random_resnet18(width: int, classes: int = 10) -> ResNet:
    """A ResNet-18 on the device."""
    network: ResNet = resnet18(num_classes=classes, mean=(0.5,) * 3, std=(0.25,) * 3, width=width)
    return network.eval().to(device())


def table1_options(description: str) -> argparse.ArgumentParser:
    """The options of a benchmark on Table 1."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--limit", type=int, default=16)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--pool", default="train")
    parser.add_argument("--model", default="digits-resnet-mixup")
    return parser


def table1(options: argparse.Namespace) -> EvaluationSpec:
    """Table 1 on one network, with one seed, as those options want it."""
    data = with_models(read_spec("table1"), [f"mixup={options.model}"])
    wanted = {"dataset": options.dataset, "pool": options.pool, "limit": options.limit, "seeds": 1}
    return make_spec(data | wanted, "options")
