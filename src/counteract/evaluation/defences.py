"""From a defence's name to a defended network: `counteraction+crop-resize` and the like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from counteract._errors import unknown_name
from counteract.datasets import Dataset
from counteract.defended import DefendedModule
from counteract.evaluation.parameters import DefenceParameters
from counteract.preprocessors import (
    AntiAdversary,
    Counteraction,
    GaussianNoise,
    Hedge,
    MixupInference,
    RandomCropPad,
    RandomCropResize,
    RandomPreprocessor,
    RandomResizePad,
    RandomRotation,
)

NONE = "none"
"""The name of no defence at all."""


@dataclass(frozen=True)
class Ingredients:
    """What defences are made of: the bare network, their parameters, and where mixup inference finds other images."""

    network: nn.Module
    parameters: DefenceParameters
    pool: Callable[[], Dataset]


def _counteraction(of: Ingredients, **changes: bool) -> Counteraction:
    return Counteraction(of.network, **of.parameters.counteraction.model_dump() | changes)


def _mixup_inference(of: Ingredients) -> MixupInference:
    pool = of.pool()
    return MixupInference(of.network, pool.images, pool.labels, weight=of.parameters.mixup_inference.weight)


_ONCE: dict[str, Callable[[Ingredients], RandomPreprocessor[Any]]] = {
    "counteraction": _counteraction,
    "counteraction-untargeted": lambda of: _counteraction(of, targeted=False),
    "hedge": lambda of: Hedge(of.network, **of.parameters.hedge.model_dump()),
    "anti-adversary": lambda of: AntiAdversary(of.network, **of.parameters.anti_adversary.model_dump()),
}
"""Defences that are not averaged: with nothing random before them they run once per input."""

_REPEATED: dict[str, Callable[[Ingredients], RandomPreprocessor[Any]]] = {
    "crop-resize": lambda of: RandomCropResize(of.parameters.crop_resize.size),
    "resize-pad": lambda of: RandomResizePad(of.parameters.resize_pad.size),
    "crop-pad": lambda of: RandomCropPad(of.parameters.crop_pad.size),
    "mixup-inference": _mixup_inference,
    "gaussian-noise": lambda of: GaussianNoise(of.parameters.gaussian_noise.std),
    "rotation": lambda of: RandomRotation(of.parameters.rotation.degrees),
}
"""Defences that are redrawn for each of their executions."""


def defence_names() -> list[str]:
    """Every name that can stand alone or be joined by `+`."""
    return [NONE, *_ONCE, *_REPEATED]


def parse_defence(name: str) -> tuple[str, ...]:
    """Splits a defence's name into its parts, in the order in which they run; () for `none`.

    Raises:
        UserError: (a ValueError) a part is unknown.
    """
    if name == NONE:
        return ()
    parts = tuple(name.split("+"))
    for part in parts:
        if part not in _ONCE and part not in _REPEATED:
            raise unknown_name("defence", part, defence_names(), "several joined by +")
    return parts


def build_defence(name: str, of: Ingredients) -> DefendedModule:
    """Makes the defended network that a name stands for.

    What comes before the first averaged part runs once per input; that part and all after it are redrawn for each
    execution, of which there are as many as the part that wants most.

    Raises:
        UserError: (a ValueError) a part is unknown.
    """
    parts = parse_defence(name)
    first = next((position for position, part in enumerate(parts) if part in _REPEATED), len(parts))
    makers = _ONCE | _REPEATED
    wanted = of.parameters.model_dump(by_alias=True)
    return DefendedModule(
        of.network,
        preprocessing_defences=[makers[part](of) for part in parts[:first]],
        transforms=[makers[part](of) for part in parts[first:]],
        executions=max((wanted[part]["executions"] for part in parts if part in _REPEATED), default=1),
    )


def forward_equivalents(defended: DefendedModule) -> int:
    """What a defended prediction costs in forward passes of its network; a backward pass to the input counts as one."""
    once = sum(defence.passes for defence in defended.preprocessing_defences)
    shared = sum(isinstance(transform, MixupInference) for transform in defended.transforms)
    return once + shared + defended.executions * (1 + sum(transform.passes for transform in defended.transforms))
