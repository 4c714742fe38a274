"""The inputs of an evaluation: its networks, its images, the pool of mixup inference, and defences in hand."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import nn

from counteract._errors import UserError
from counteract.datasets import DATASETS, Augmented, Dataset, load_dataset
from counteract.datasets.corrupted import read_name
from counteract.evaluation.options import RunOptions
from counteract.evaluation.spec import EvaluationSpec, OwnNetwork
from counteract.models import is_clip, is_factory, load_model
from counteract.models.about import About, about

IN_HAND = "images in hand"
"""The name of a dataset of images that were passed in as they are, of whose origin nothing is known."""

LEAKING = ("test", "test-augmented")
"""The pools of mixup inference that hold the images that are classified."""


@dataclass(frozen=True)
class Network:
    """A network that is to be evaluated.

    Attributes:
        name: Its name, as an error calls it.
        module: The network: images in [0, 1] to logits.
        about: Facts that its name or its own card tell.
    """

    name: str
    module: nn.Module
    about: About = field(default_factory=About)


@dataclass(frozen=True)
class Inputs:
    """Everything that a spec names, loaded.

    Attributes:
        data: The images and their true labels.
        networks: The networks by their labels.
        pool: Returns the images that mixup inference mixes with, loaded once they are asked for.
        defences: Defences in hand, by the names that the spec has for them.
        surrogate: The network that oblivious attacks are made on; None for the network that is evaluated.
    """

    data: Dataset
    networks: Mapping[str, Network]
    pool: Callable[[], Dataset]
    defences: Mapping[str, object] = field(default_factory=dict)
    surrogate: Network | None = None
    _strangers: dict[str, object] = field(default_factory=dict, repr=False, compare=False)

    def strangers(self) -> dict[str, object]:
        """Returns the networks and the defences that may be strangers', by their names in errors; more can be added."""
        networks = [*self.networks.values(), *([self.surrogate] if self.surrogate else [])]
        found = {f"defence {name}": defence for name, defence in self.defences.items()}
        self._strangers.update(found | {f"model {network.name}": network.module for network in networks})
        return self._strangers


def check_card(label: str, known: About, data: Dataset) -> str | None:
    """Returns what must be said of a network on other data than its card or its name names; None if there is nothing.

    Raises:
        UserError: (a ValueError) by its card it is of another dataset with a name of its own: this one was not meant.
    """
    trained, classes = known.dataset, known.class_names
    if trained is None or data.name in (trained, IN_HAND) or classes == data.class_names:
        return None
    if classes and {trained, data.name} <= DATASETS.keys():
        raise UserError(
            f"model {label} was trained on {trained}, as its card says, and the dataset is {data.name}: name the right "
            f"one, --dataset {trained} or a file with its images"
        )
    if classes:
        return (
            f"its card names {trained} and the classes {_few(classes)}; the images are of {data.name}, with the "
            f"classes {_few(data.class_names)}"
        )
    if data.name in DATASETS:
        return f"it was published for {trained}, and the images are of {data.name}: its figures mean nothing here"
    return None


def _few(names: Sequence[str]) -> str:
    return ", ".join([*names[:3], *(["..."] if len(names) > 3 else [])])


def load_inputs(spec: EvaluationSpec, options: RunOptions) -> Inputs:
    """Loads the data and the networks of a spec.

    Raises:
        UserError: (a ValueError) something cannot be loaded.
    """
    _check_own_network(spec)
    data = load_dataset(spec.dataset, "test", data_dir=options.data_dir).take(spec.limit)
    networks = {label: load_network(name, spec, data, options) for label, name in spec.models.items()}
    surrogate = None if spec.surrogate is None else load_network(spec.surrogate, spec, data, options)
    return Inputs(data, networks, functools.cache(functools.partial(load_pool, spec, options)), surrogate=surrogate)


def _check_own_network(spec: EvaluationSpec) -> None:
    """Raises UserError for facts about networks of the user's where there is none that they are about."""
    names = [*spec.models.values(), *filter(None, [spec.surrogate])]
    own = spec.own_network
    if own.model_copy(update={"classes": None}) != OwnNetwork() and not any(map(is_factory, names)):
        raise UserError("weights, mean and std go with package.module:factory; the other networks have their own")
    if own.classes is not None and not any(map(is_clip, names)):
        raise UserError("classes go with clip:FOLDER; the other networks have a number of classes of their own")


def load_pool(spec: EvaluationSpec, options: RunOptions) -> Dataset:
    """Loads the images that mixup inference mixes with.

    Raises:
        UserError: (a ValueError) the spec's pool is none, or cannot be loaded.
    """
    if spec.pool.endswith(".npz"):
        return load_dataset(spec.pool)
    if spec.pool in LEAKING:
        test = load_dataset(spec.dataset, "test", data_dir=options.data_dir)
        return Augmented(test) if spec.pool == "test-augmented" else test
    if spec.pool != "train":
        raise UserError(f"pool must be 'train', 'test', 'test-augmented' or a path ending in .npz, found {spec.pool!r}")
    corrupted = read_name(spec.dataset)
    if (corrupted[0] if corrupted else spec.dataset).endswith(".npz"):
        raise UserError(f"dataset {spec.dataset} has no training split for mixup-inference: name one with --pool FILE")
    return load_dataset(spec.dataset, "train", data_dir=options.data_dir)


def load_network(name: str, spec: EvaluationSpec, data: Dataset, options: RunOptions) -> Network:
    """Loads one of a spec's networks, for images of the data's shape.

    Raises:
        UserError: (a ValueError) it cannot be loaded, or does not take such images.
    """
    if is_factory(name):
        own = spec.own_network
        module = load_model(
            name,
            weights=own.weights,
            mean=own.mean,
            std=own.std,
            trust=options.trust,
            input_shape=data.image_shape,
        )
    elif is_clip(name):
        module = load_model(name, classes=spec.own_network.classes, input_shape=data.image_shape)
    else:
        module = load_model(name, model_dir=options.model_dir, trust=options.trust)
    return Network(name, module, about(name))
