"""What a spec names: its networks, and the images that mixup inference mixes with."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from counteract._errors import UserError
from counteract.datasets import Dataset, load_dataset
from counteract.evaluation.means import Means
from counteract.evaluation.spec import EvaluationSpec
from counteract.models import check_network, is_factory, load_model


@dataclass(frozen=True)
class Inputs:
    """What a spec names.

    Attributes:
        data: The images and their true labels.
        networks: The networks by their labels, known to map these images to as many logits as there are classes.
        pool: The images that mixup inference mixes with, loaded once they are asked for.
    """

    data: Dataset
    networks: dict[str, nn.Module]
    pool: Callable[[], Dataset]


def load_inputs(spec: EvaluationSpec, means: Means) -> Inputs:
    """Loads the data and the networks of a spec.

    Raises:
        UserError: (a ValueError) something cannot be loaded or does not fit.
    """
    data = load_dataset(spec.dataset, "test", data_dir=means.data_dir).take(spec.limit)
    networks = {label: _load_network(name, spec, data, means) for label, name in spec.models.items()}
    return Inputs(data, networks, functools.cache(functools.partial(_load_pool, spec, means)))


def _load_pool(spec: EvaluationSpec, means: Means) -> Dataset:
    if spec.pool.endswith(".npz"):
        return load_dataset(spec.pool)
    if spec.pool == "test":
        return load_dataset(spec.dataset, "test", data_dir=means.data_dir)
    if spec.pool != "train":
        raise UserError(f"pool must be 'train', 'test' or a path ending in .npz, found {spec.pool!r}")
    if spec.dataset.endswith(".npz"):
        raise UserError(f"dataset {spec.dataset} has no training split for mixup-inference: name one with --pool FILE")
    return load_dataset(spec.dataset, "train", data_dir=means.data_dir)


def _load_network(name: str, spec: EvaluationSpec, data: Dataset, means: Means) -> nn.Module:
    shape = data.images.shape[1:]
    if is_factory(name):
        own = spec.own_network
        network = load_model(
            name,
            weights=own.weights,
            mean=own.mean,
            std=own.std,
            trust=means.trust,
            input_shape=(shape[0], shape[1], shape[2]),
        )
    else:
        network = load_model(name, model_dir=means.model_dir, trust=means.trust)
    check_network(network, name, data.images[:2], data.num_classes)
    return network
