"""What a spec names: its networks, and the images that mixup inference mixes with."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from counteract._errors import UserError
from counteract.datasets import Dataset, load_dataset
from counteract.evaluation.spec import EvaluationSpec
from counteract.models import check_network, is_factory, load_model


def load_pool(spec: EvaluationSpec, data_dir: Path | None) -> Dataset:
    """The images that mixup inference mixes with."""
    if spec.pool.endswith(".npz"):
        return load_dataset(spec.pool)
    if spec.pool == "test":
        return load_dataset(spec.dataset, "test", data_dir=data_dir)
    if spec.pool != "train":
        raise UserError(f"pool must be 'train', 'test' or a path ending in .npz, found {spec.pool!r}")
    if spec.dataset.endswith(".npz"):
        raise UserError(f"dataset {spec.dataset} has no training split for mixup-inference: name one with --pool FILE")
    return load_dataset(spec.dataset, "train", data_dir=data_dir)


def load_networks(spec: EvaluationSpec, data: Dataset, *, model_dir: Path, trust: bool) -> dict[str, nn.Module]:
    """The networks by their labels, once they are known to map these images to as many logits as there are classes."""
    return {label: _load_network(name, spec, data, model_dir, trust) for label, name in spec.models.items()}


def _load_network(name: str, spec: EvaluationSpec, data: Dataset, model_dir: Path, trust: bool) -> nn.Module:
    shape = data.images.shape[1:]
    if is_factory(name):
        own = spec.own_network
        network = load_model(
            name,
            weights=own.weights,
            mean=own.mean,
            std=own.std,
            trust=trust,
            input_shape=(shape[0], shape[1], shape[2]),
        )
    else:
        network = load_model(name, model_dir=model_dir, trust=trust)
    check_network(network, name, data.images[:2], data.num_classes)
    return network
