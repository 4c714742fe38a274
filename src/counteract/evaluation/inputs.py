"""The inputs of an evaluation: its networks, its images, the pool of mixup inference, and defences in hand."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn

from counteract._errors import UserError
from counteract._layout import layout_kept
from counteract._network import evaluating
from counteract._preparation import Preparation, common
from counteract._seeding import seeded
from counteract.datasets import Augmented, Dataset, Reading, find_source, load_dataset
from counteract.evaluation.blocks import Block, cut
from counteract.evaluation.options import RunOptions
from counteract.evaluation.spec import EvaluationSpec, OwnNetwork, Pictures
from counteract.models import PreparedNetwork, is_clip, is_factory, is_library, load_model
from counteract.models.about import About, about
from counteract.models.checks import outputs_of

IN_HAND = "images in hand"
"""The name of a dataset of images that were passed in as they are, of whose origin nothing is known."""

_OF_ITS_OWN = (3, 224, 224)
"""The shape of images for libraries' networks, which are tried with that of their own."""

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
    _held: list[ExitStack] = field(default_factory=list, repr=False, compare=False)

    @functools.cached_property
    def blocks(self) -> list[Block]:
        """The blocks of the data, which are read once for their hashes."""
        return cut(self.data)

    def strangers(self) -> dict[str, object]:
        """Returns the networks and the defences that may be strangers', by their names in errors; more can be added."""
        networks = [*self.networks.values(), *([self.surrogate] if self.surrogate else [])]
        found = {f"defence {name}": defence for name, defence in self.defences.items()}
        self._strangers.update(found | {f"model {network.name}": network.module for network in networks})
        return self._strangers

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds every network and defence in hand in eval mode, and puts them back as they were found."""
        with ExitStack() as stack:
            self._held.append(stack)
            try:
                for thing in [*self.strangers().values()]:
                    self.hold(thing)
                yield
            finally:
                self._held.pop()

    def hold(self, thing: object) -> None:
        """Holds a module, or those in a list, in eval mode for as long as the others are; its layout is put back."""
        for each in thing if isinstance(thing, (list, tuple)) else [thing]:
            if self._held and isinstance(each, nn.Module):
                self._held[-1].enter_context(layout_kept(each))
                self._held[-1].enter_context(evaluating(each))


def load_inputs(spec: EvaluationSpec, options: RunOptions) -> Inputs:
    """Loads the data and the networks of a spec.

    Raises:
        UserError: (a ValueError) something cannot be loaded.
    """
    _check_own_network(spec)
    _check_pool(spec.pool)
    # Networks of libraries say how their pictures are prepared, and anyone's is tried with the data's first images.
    early = {
        label: load_network(name, spec, _OF_ITS_OWN, options)
        for label, name in spec.models.items()
        if is_library(name) or is_clip(name)
    }
    reading = make_reading(spec.pictures, options, _own_preparation(spec, early))
    data = load_dataset(spec.dataset, "test", data_dir=options.data_dir, reading=reading, limit=spec.limit)
    networks = {
        label: early[label] if label in early else load_network(name, spec, data.image_shape, options)
        for label, name in spec.models.items()
    }
    surrogate = None if spec.surrogate is None else load_network(spec.surrogate, spec, data.image_shape, options)
    pool = functools.cache(functools.partial(load_pool, spec, options, reading))
    return Inputs(with_class_names(data, next(iter(networks.values()))), networks, pool, surrogate=surrogate)


def _check_own_network(spec: EvaluationSpec) -> None:
    """Raises UserError for facts about networks of the user's where there is none that they are about."""
    names = [*spec.models.values(), *filter(None, [spec.surrogate])]
    own = spec.own_network
    if own.model_copy(update={"classes": None}) != OwnNetwork() and not any(
        is_factory(name) or is_library(name) for name in names
    ):
        raise UserError(
            "weights, mean and std go with package.module:factory and libraries' networks, untrained with these alone; "
            "the other networks have their own"
        )
    if own.classes is not None and not any(map(is_clip, names)):
        raise UserError("classes go with clip:FOLDER; the other networks have a number of classes of their own")


def _check_pool(pool: str) -> None:
    """Raises UserError for what names no pool."""
    if not (pool in ("train", *LEAKING) or _is_named(pool)):
        raise UserError(
            "pool must be 'train', 'test', 'test-augmented', a path ending in .npz, folder:DIR or "
            f"package.module:factory, found {pool!r}"
        )


def _is_named(pool: str) -> bool:
    """Returns True for the name of a pool of its own, and False for a split of the dataset."""
    return pool.endswith(".npz") or ":" in pool


def _own_preparation(spec: EvaluationSpec, networks: Mapping[str, Network]) -> Preparation | None:
    """Returns the way in which all networks want their pictures.

    Raises:
        UserError: (a ValueError) they want it otherwise, and there may be pictures.
    """
    found = {label: way for label, network in networks.items() if (way := preparation_of(network.module)) is not None}
    asked = (spec.pictures.resize, spec.pictures.crop) != (None, None)
    return None if asked or not find_source(spec.dataset).pictures else common(found)


def preparation_of(network: nn.Module) -> Preparation | None:
    """Returns the way in which a network wants its pictures, where it brings one."""
    return network.preparation if isinstance(network, PreparedNetwork) else None


def make_reading(asked: Pictures, options: RunOptions, own: Preparation | None = None) -> Reading:
    """Returns the way to read pictures.

    Args:
        asked: The user's wishes.
        options: The number of worker processes, and whoever is told of what cannot be read.
        own: The networks' own preparation, where nothing else is asked for.

    Raises:
        UserError: (a ValueError) the user wishes a filter, and no size.
    """
    if asked.interpolation is not None and asked.resize is None:
        raise UserError("pictures: interpolation is that of resize, which is missing: give both")
    preparation = own
    if (asked.resize, asked.crop) != (None, None):
        crop = None if asked.crop is None else (asked.crop, asked.crop)
        preparation = Preparation(asked.resize, crop, asked.interpolation or "bilinear", asked=True)
    return Reading(preparation, options.workers, asked.skip_unreadable, options.watcher.warn)


def with_class_names(data: Dataset, network: Network) -> Dataset:
    """Returns data whose classes have names: of a stranger's without, the numbers of a network's outputs.

    Raises:
        UserError: (a ValueError) a label is beyond these.
    """
    if data.class_names:
        return data
    with seeded(0):
        classes = outputs_of(network.module, network.name, data.read(torch.arange(len(data))[:2])).shape[1]
    return data.with_classes(tuple(map(str, range(classes))))


def load_pool(spec: EvaluationSpec, options: RunOptions, reading: Reading | None = None) -> Dataset:
    """Loads the images that mixup inference mixes with.

    Raises:
        UserError: (a ValueError) it cannot be loaded.
    """
    load = functools.partial(load_dataset, data_dir=options.data_dir, reading=reading)
    if _is_named(spec.pool):
        return load(spec.pool)
    if spec.pool in LEAKING:
        test = load(spec.dataset, "test")
        return Augmented(test) if spec.pool == "test-augmented" else test
    if not find_source(spec.dataset).splits:
        raise UserError(f"dataset {spec.dataset} has no training split for mixup-inference: name one with --pool")
    return load(spec.dataset, "train")


def load_network(name: str, spec: EvaluationSpec, shape: tuple[int, int, int], options: RunOptions) -> Network:
    """Loads one of a spec's networks, anyone's for images of a shape.

    Raises:
        UserError: (a ValueError) it cannot be loaded, or does not take such images.
    """
    own = spec.own_network
    if is_library(name) or is_factory(name):
        module = load_model(
            name,
            weights=own.weights,
            untrained=own.untrained,
            mean=own.mean,
            std=own.std,
            trust=options.trust,
            input_shape=shape,
        )
    elif is_clip(name):
        module = load_model(name, classes=spec.own_network.classes, input_shape=shape)
    else:
        module = load_model(name, model_dir=options.model_dir, trust=options.trust)
    return Network(name, module, about(name, module))
