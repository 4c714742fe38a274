"""`evaluate`: an evaluation of things in hand, without a spec file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy.typing as npt
import torch
from torch import Tensor, nn

from counteract._errors import UserError
from counteract._images import check_images
from counteract._seeding import seeded
from counteract.datasets import ArrayDataset, Dataset
from counteract.evaluation.inputs import IN_HAND, Inputs, Network
from counteract.evaluation.options import RunOptions
from counteract.evaluation.results import Run
from counteract.evaluation.runner import evaluate_spec
from counteract.evaluation.spec import make_spec
from counteract.models import from_art, load_model
from counteract.models.about import about
from counteract.models.checks import outputs_of
from counteract.preprocessors import RandomPreprocessor

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier

    from counteract.defended import DefendedModule

    Defence = str | nn.Module | RandomPreprocessor[Any] | Sequence[RandomPreprocessor[Any]] | DefendedModule

Images = Tensor | npt.NDArray[Any] | Dataset


def evaluate(
    network: nn.Module | PyTorchClassifier | str,
    images: Images,
    labels: Tensor | npt.NDArray[Any] | None = None,
    *,
    defences: Iterable[Defence] = ("undefended",),
    attacks: Iterable[str] = ("clean", "pgd50", "apgd-t"),
    eps: float | str = 8 / 255,
    norm: str = "Linf",
    preset: str | Mapping[str, Any] = "standard",
    seeds: int = 1,
    draws: int = 1,
    pool: Dataset | None = None,
    options: RunOptions | None = None,
    **more: Any,
) -> Run:
    """Measures defences of a network against attacks, on images in hand.

    Args:
        network: Maps images in [0, 1] to logits; ART's `PyTorchClassifier` without defences; or a name.
        images: In [0, 1], shape (N, C, H, W); a tensor, an array, or a dataset, which brings its labels.
        labels: The true labels, integers, shape (N,).
        defences: Names, preprocessors, lists of preprocessors that run one after the other, or whole defended networks.
        attacks: Names of attacks: `counteract attacks` lists them.
        eps: The size of the largest perturbation: a number in (0, 1], or a fraction such as `"8/255"`.
        norm: The norm that it is measured in.
        preset: The effort of the attacks: `quick`, `standard` or `full`, or fields of a preset.
        seeds: The number of seeds.
        draws: The number of draws of a random defence that judge each example.
        pool: The images that mixup inference mixes with.
        options: The device, the folder and whatever else does not change the results.
        **more: Other fields of a spec: `eps_step`, `parameters`, `cascade`, ...

    Returns:
        The run: `run.rows`, `run.worst_cases`, `run.summaries`; `counteract.reporting` prints it.

    Raises:
        UserError: (a ValueError) an argument is not what it must be.

    Example:
        >>> run = evaluate(net, images, labels, defences=["undefended", "counteraction"], attacks=["clean", "pgd10"])
        >>> {(row.defence, row.attack): row.accuracy for row in run.rows}
    """
    options = options or RunOptions()
    loaded = make_network(network)
    data = make_data(images, labels, loaded.module)
    in_hand = name_defences(defences)
    fields = {"threat_model": {"norm": norm, "eps": eps}, "preset": preset, "seeds": seeds, "draws": draws}
    spec = make_spec(
        {"dataset": data.name, "models": {"network": loaded.name}, "attacks": list(attacks), "defences": list(in_hand)}
        | fields
        | more,
        "arguments",
    )
    objects = {name: defence for name, defence in in_hand.items() if not isinstance(defence, str)}
    return evaluate_spec(spec, options, inputs=Inputs(data, {"network": loaded}, make_pool(pool), objects))


def make_data(images: Images, labels: Tensor | npt.NDArray[Any] | None, network: nn.Module) -> Dataset:
    """Returns a dataset of images and labels in hand, whose classes are as many as the network has outputs.

    Raises:
        UserError: (a ValueError) they are no images in [0, 1], or the labels do not fit.
    """
    if isinstance(images, Dataset):
        return images
    pixels = check_images(torch.as_tensor(images), name="images")
    if labels is None:
        raise UserError("labels are missing: pass one integer for each of images, or a dataset as images")
    given = torch.as_tensor(labels)
    if given.ndim != 1 or len(given) != len(pixels) or given.is_floating_point() or given.dtype == torch.bool:
        raise UserError(
            f"labels must be {len(pixels)} integers, one for each of images; found {given.dtype}, {tuple(given.shape)}"
        )
    with seeded(0):
        classes = outputs_of(network, type(network).__name__, pixels[:2]).shape[1]
    if len(given) and not 0 <= int(given.min()) <= int(given.max()) < classes:
        raise UserError(
            f"labels run from {int(given.min())} to {int(given.max())}, but the network has {classes} outputs"
        )
    return ArrayDataset(IN_HAND, pixels, given.long(), tuple(map(str, range(classes))))


def name_defences(defences: Iterable[Defence]) -> dict[str, Defence]:
    """Returns defences by names for the tables: a name its own, anything else that of its class.

    Raises:
        UserError: (a ValueError) one is no defence.
    """
    named: dict[str, Defence] = {}
    for defence in [defences] if isinstance(defences, (str, nn.Module, RandomPreprocessor)) else defences:
        name = defence if isinstance(defence, str) else _class_name(defence)
        number = 1
        while not isinstance(defence, str) and name in named:
            number += 1
            name = f"{_class_name(defence)}#{number}"
        named[name] = defence
    return named


def _class_name(defence: object) -> str:
    if isinstance(defence, (nn.Module, RandomPreprocessor)):
        return type(defence).__name__
    if isinstance(defence, (list, tuple)) and defence and all(isinstance(d, RandomPreprocessor) for d in defence):
        return "+".join(type(part).__name__ for part in defence)
    raise UserError(
        "defences must be names, preprocessors of this package, lists of them, or torch modules; found "
        f"{type(defence).__name__}"
    )


def make_network(network: object) -> Network:
    """Returns a network that is evaluated: one by its name, a module, or that of an ART classifier."""
    if isinstance(network, str):
        return Network(network, load_model(network), about(network))
    module = network if isinstance(network, nn.Module) else from_art(network)
    return Network(type(module).__name__, module)


def make_pool(pool: Dataset | None) -> Callable[[], Dataset]:
    """Returns a function that returns the pool, or says that it is missing."""

    def found() -> Dataset:
        if pool is None:
            raise UserError("mixup-inference needs images to mix with: pass pool=, a dataset of training images")
        return pool

    return found
