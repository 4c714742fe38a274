"""Attacks by hand, one for each broken defence, as the literature names them: plain loops, and nothing of the suite.

A yardstick is a list of gradients to follow. Each is followed from random starting points with falling steps; of all
points on the way an image keeps the one that the defended network gets most wrong.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from broken.mean_sparse import Sparsified
from broken.surgery import with_layers
from broken.trained import Thermometer
from counteract.datasets import Dataset

Answer: TypeAlias = Callable[[Tensor], Tensor]
"""From images in [0, 1] to scores; of a random defence with draws of its own each time."""

Goal: TypeAlias = Callable[[Tensor], Tensor]
"""From scores, one row an image, to the numbers that an attack lowers."""

Gradient: TypeAlias = Callable[[Tensor, Goal], Tensor]
"""From images and a goal to the direction in which to move them."""


@dataclass(frozen=True)
class Case:
    """A defence as an attacker by hand has it.

    Attributes:
        made: The object that the plug-in's factory returned.
        network: The network that it was given.
        answer: The defended network.
        purify: The images as the network under it receives them, if there is such a thing; without a gradient.
        random: True if its answers differ from one time to the next.
    """

    made: object
    network: nn.Module
    answer: Answer
    purify: Answer | None
    random: bool


def case_of(
    factory: Callable[..., object], network: nn.Module, pool: Dataset, images: Tensor, **arguments: Any
) -> Case:
    """Makes a defence for an attack by hand.

    Args:
        factory: The plug-in's.
        network: The network without the defence.
        pool: The training images.
        images: A few images.
        **arguments: The factory's own.
    """
    offered = {"network": network, "pool": pool, "num_classes": len(pool.class_names), "input_shape": images.shape[1:]}
    taken = {name: value for name, value in offered.items() if name in inspect.signature(factory).parameters}
    made = factory(**taken, **arguments)
    if isinstance(made, nn.Module):
        answer: Answer = made.to(images.device).eval()
        purify: Answer | None = getattr(made, "purify", None)
    else:
        purify = through(made)
        answer = behind(network, purify)
    with torch.no_grad():
        random = not torch.equal(answer(images[:4]), answer(images[:4]))
    return Case(made, network, answer, purify, random)


def behind(network: nn.Module, purify: Answer) -> Answer:
    """A network that receives purified images."""

    def answer(x: Tensor) -> Tensor:
        scores: Tensor = network(purify(x))
        return scores

    return answer


def through(preprocessor: Any) -> Answer:
    """One of ART's preprocessors as a function of tensors, without a gradient."""

    def purify(x: Tensor) -> Tensor:
        return torch.as_tensor(preprocessor(x.detach().cpu().numpy())[0]).to(x)

    return purify


def margin(scores: Tensor, labels: Tensor) -> Tensor:
    """The score of each label less the best other one: no scale of the scores changes its gradient's signs."""
    own = scores.gather(1, labels.unsqueeze(1))[:, 0]
    return own - scores.scatter(1, labels.unsqueeze(1), -torch.inf).amax(1)


def exact(answer: Answer) -> Gradient:
    """The gradient by autograd."""

    def gradient(x: Tensor, goal: Goal) -> Tensor:
        x = x.detach().requires_grad_()
        (found,) = torch.autograd.grad(-goal(answer(x)).sum(), x)
        return found

    return gradient


def bpda(case: Case) -> Gradient:
    """The gradient of the network at what it receives, as if that were the image."""
    assert case.purify is not None
    beyond, purify = exact(case.network), case.purify
    return lambda x, goal: beyond(purify(x), goal)


def eot(gradient: Gradient, draws: int) -> Gradient:
    """The mean over draws."""
    return lambda x, goal: torch.stack([gradient(x, goal) for _ in range(draws)]).mean(0)


def neighbourhood(gradient: Gradient, size: float, points: int) -> Gradient:
    """The mean over points around the image: normal noise of a standard deviation of `size`."""

    def averaged(x: Tensor, goal: Goal) -> Tensor:
        around = [gradient(x + size * torch.randn_like(x), goal) for _ in range(points)]
        return torch.stack(around).mean(0)

    return averaged


def follow(
    case: Case, gradients: Sequence[Gradient], images: Tensor, labels: Tensor, eps: float, steps: int, targets: int = 0
) -> Tensor:
    """Follows gradients within the bound of the max norm; returns the images that the defence gets most wrong.

    Each is followed away from the label, and towards each of as many of the likeliest other classes as `targets` says.
    """
    low, high = (images - eps).clamp(min=0), (images + eps).clamp(max=1)
    best, least = images, _standing(case, images, labels)
    for gradient in gradients:
        for goal in _goals(case, images, labels, targets):
            x = torch.lerp(low, high, torch.rand_like(images))
            for step in range(steps):
                size = eps / 2 * (1 - step / steps)
                x = (x + size * gradient(x, goal).sign()).clamp(low, high).detach()
                found = _standing(case, x, labels)
                better = found < least
                best = torch.where(better.view(-1, 1, 1, 1), x, best)
                least = torch.where(better, found, least)
    return best


def _goals(case: Case, images: Tensor, labels: Tensor, targets: int) -> list[Goal]:
    """The margin, and the lead over each of the likeliest other classes."""

    def lead(other: Tensor) -> Goal:
        return lambda scores: (scores.gather(1, labels.unsqueeze(1)) - scores.gather(1, other.unsqueeze(1)))[:, 0]

    with torch.no_grad():
        likely = case.network(images).scatter(1, labels.unsqueeze(1), -torch.inf).topk(targets).indices
    return [lambda scores: margin(scores, labels), *map(lead, likely.t())]


def _standing(case: Case, x: Tensor, labels: Tensor) -> Tensor:
    """Returns the margin of the defended network, of a random one the mean of four draws."""
    with torch.no_grad():
        return torch.stack([margin(case.answer(x), labels) for _ in range(4 if case.random else 1)]).mean(0)


def accuracy(case: Case, images: Tensor, labels: Tensor, draws: int = 5) -> float:
    """The share of right answers in percent, of a random defence over draws that no attack has seen."""
    with torch.no_grad():
        right = [case.answer(images).argmax(1) == labels for _ in range(draws if case.random else 1)]
    return 100 * float(torch.stack(right).float().mean())


def _soft_thermometer(case: Case) -> list[Gradient]:
    assert isinstance(case.made, nn.Module)
    soft = copy.deepcopy(case.made)
    for module in soft.modules():
        if isinstance(module, Thermometer):
            module.slope = 16.0
    return [exact(soft)]


class _Straight(nn.Module):
    """MeanSparse's answers with the derivatives of the convolution."""

    def __init__(self, layer: Sparsified) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        plain: Tensor = self.layer.convolution(x)
        exact: Tensor = self.layer(x)
        return plain + (exact - plain).detach()


def _straight_sparse(case: Case) -> list[Gradient]:
    def straight(layer: nn.Module) -> nn.Module:
        assert isinstance(layer, Sparsified)
        return _Straight(layer)

    assert isinstance(case.made, nn.Module)
    return [exact(with_layers(case.made, Sparsified, straight))]


def _own(case: Case) -> list[Gradient]:
    return [exact(case.answer)]


def _transfer(case: Case) -> list[Gradient]:
    return [exact(case.network)]


def _identity(case: Case) -> list[Gradient]:
    return [bpda(case)]


def _averaged(case: Case) -> list[Gradient]:
    return [eot(exact(case.answer), 10)]


def _winners(case: Case) -> list[Gradient]:
    return [*_transfer(case), neighbourhood(exact(case.answer), 8 / 255, 10)]


@dataclass(frozen=True)
class Yardstick:
    """An attack by hand.

    Attributes:
        gradients: The gradients to follow.
        steps: The number of steps.
        targets: The number of other classes to move towards, one after the other.
    """

    gradients: Callable[[Case], list[Gradient]]
    steps: int = 50
    targets: int = 3


YARDSTICKS = {
    "adp": Yardstick(_own, steps=100, targets=2),
    "anti_adversary": Yardstick(_transfer),
    "bit_depth": Yardstick(_identity),
    "detached": Yardstick(_identity),
    "hedge": Yardstick(lambda case: [*_transfer(case), bpda(case)], steps=20, targets=2),
    "jpeg": Yardstick(_identity),
    "kwta": Yardstick(_winners, steps=20, targets=2),
    "matrix_estimation": Yardstick(lambda case: [eot(bpda(case), 10)], steps=25, targets=0),
    "mean_sparse": Yardstick(_straight_sparse),
    "mixup_inference": Yardstick(_own, targets=2),
    "one_hot": Yardstick(_transfer),
    "quantised": Yardstick(_identity),
    "resize_pad": Yardstick(_averaged, steps=25, targets=0),
    "sap": Yardstick(_averaged, steps=25, targets=0),
    "scaled_logits": Yardstick(_own),
    "thermometer": Yardstick(_soft_thermometer, targets=1),
    "total_variation": Yardstick(_identity, targets=1),
    "wrong_gradient": Yardstick(_transfer),
}
"""The attack by hand for each broken defence; for anything else, along its own gradient."""


def yardstick(
    name: str, case: Case, images: Tensor, labels: Tensor, eps: float, *, steps: int | None = None, seed: int = 0
) -> float:
    """The accuracy in percent that the attack by hand leaves.

    Args:
        name: The module of the defence.
        case: The defence.
        images: Clean images in [0, 1].
        labels: Their labels.
        eps: The bound of the max norm.
        steps: Another number of steps, away from the label alone.
        seed: Of all draws.
    """
    usual = YARDSTICKS.get(name, Yardstick(_own, targets=0))
    length, targets = (usual.steps, usual.targets) if steps is None else (steps, 0)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return accuracy(case, follow(case, usual.gradients(case), images, labels, eps, length, targets), labels)
