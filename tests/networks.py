"""Networks small enough for any test."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from counteract.models import load_model


class FailingBackward(torch.autograd.Function):
    """The identity, with a backward pass that raises a `KeyError` of what it is given beside the images."""

    @staticmethod
    def forward(context: Any, x: Tensor, what: str) -> Tensor:
        context.what = what
        return x * 1

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Any:
        raise KeyError(context.what)


class TinyNet(nn.Module):
    """A small smooth network with BatchNorm: its gradients have no kinks, so that finite differences hold."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.conv = nn.Conv2d(3, 6, 5, stride=2, padding=2)
        self.norm = nn.BatchNorm2d(6)
        self.head = nn.Linear(6 * 16, classes)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.5

    def forward(self, x: Tensor) -> Tensor:
        features = nn.functional.adaptive_avg_pool2d(torch.tanh(self.norm(self.conv(x))), 4)
        logits: Tensor = self.head(features.flatten(1))
        return logits


class Shifted(TinyNet):
    """A network that prepares its images, in place or not: the answers are the same."""

    def __init__(self, *, in_place: bool) -> None:
        super().__init__()
        self.in_place = in_place

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.mul_(2).sub_(0.5) if self.in_place else x * 2 - 0.5)


class Dark(TinyNet):
    """A network whose answers to dark images are no numbers."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 0 * (x.mean((1, 2, 3)) - 0.2).sqrt().unsqueeze(1)


class Outright(TinyNet):
    """A network that gives images with pixels between grey levels one answer, without looking any further."""

    def forward(self, x: Tensor) -> Tensor:
        grey = (255 * x - (255 * x).round()).abs().amax((1, 2, 3)) < 0.01
        answers = torch.eye(10)[:1].expand(len(x), -1).clone()
        if grey.any():
            answers[grey] = super().forward(x[grey])
        return answers


class Returning(TinyNet):
    """A network that returns its logits in something, or something else."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        logits, features = super().forward(x), x.flatten(1)
        answers: dict[str, object] = {
            "tuple": (logits, None),
            "dict": {"features": features, "logits": logits},
            "squeezed": logits.squeeze(),
            "column": logits[:, :1],
            "several": (logits, features),
        }
        return answers[self.kind]  # type: ignore[return-value]


class Averaging(TinyNet):
    """A network whose answers to an image follow the others of its batch."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - 0.3 * x.mean(0, keepdim=True))


class Rounding(TinyNet):
    """A network behind a rounding, whose gradient is zero."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward((8 * x).round() / 8)


class Detached(TinyNet):
    """A network without any gradient."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.detach()).detach()


class Keyed(Averaging):
    """A whole defended network that takes keys, whose answers follow the batch."""

    def forward(self, x: Tensor, keys: Tensor | None = None) -> Tensor:
        del keys
        return super().forward(x)


class Drawing(nn.Module):
    """A network that is random in eval mode, too, in one of several ways."""

    def __init__(self, how: str = "torch") -> None:
        super().__init__()
        self.net, self.how = TinyNet(), how

    def forward(self, x: Tensor) -> Tensor:
        shift: dict[str, Callable[[], Any]] = {
            "torch": lambda: torch.rand(len(x), 1, 1, 1),
            "numpy": lambda: np.random.rand(),
            "python": random.random,
        }
        out: Tensor = self.net(8 * x * (shift[self.how]() - 0.5))
        return out


class Unrepeatable(nn.Module):
    """A network with a generator of its own, which nobody can seed."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.generator = TinyNet(), torch.Generator()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x * torch.rand((), generator=self.generator))
        return out


class Around(nn.Module):
    """The shipped network of digits with something around it."""

    def __init__(self, through: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.through = load_model("digits-resnet-mixup"), through

    def forward(self, x: Tensor) -> Tensor:
        return self.through(self.net, x)


def plain() -> nn.Module:
    """The network as it is."""
    return Around(lambda net, x: net(x))


def gamma() -> nn.Module:
    """The same answers to images in [0, 1], on the way to which it writes into them."""
    return Around(lambda net, x: net(x.sqrt_().square()))


def dropping() -> nn.Module:
    """A network that is random in eval mode, too."""
    return Around(lambda net, x: net(nn.functional.dropout(x, 0.3)))


def standardised() -> nn.Module:
    """A network that expects standardised images."""
    net = plain()
    for module in net.modules():
        if isinstance(getattr(module, "mean", None), Tensor):
            module.mean.zero_()  # type: ignore[operator]
            module.std.fill_(1)  # type: ignore[operator]
    return net


def by_batches() -> nn.Module:
    """BatchNorm without running statistics, which normalises by the batch in eval mode, too."""
    net = plain()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats, module.running_mean, module.running_var = False, None, None
    return net
