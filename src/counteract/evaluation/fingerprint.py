"""Hashes of everything that a result depends on, by which finished work is found again."""

from __future__ import annotations

import hashlib
from importlib.metadata import version

import numpy as np
from pydantic import BaseModel
from torch import Tensor, nn

from counteract.datasets import Dataset

_VERSIONS = [f"{package} {version(package)}" for package in ("art-counteract", "torch", "torchattacks")]


def fingerprint(*parts: str | int | float | Tensor | BaseModel) -> str:
    """A hash of parts in their order and of the versions of what computes: 32 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in (*_VERSIONS, *parts):
        if isinstance(part, Tensor):
            array = np.ascontiguousarray(part.detach().cpu().numpy())
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(array.data)
        else:
            text = part.model_dump_json() if isinstance(part, BaseModel) else repr(part)
            digest.update(f"{type(part).__name__} {len(text)} {text}".encode())
    return digest.hexdigest()[:32]


def network_fingerprint(network: nn.Module) -> str:
    """A hash of a network's structure, as it prints, and of its parameters and buffers."""
    state = network.state_dict()
    return fingerprint(repr(network), *(part for name, tensor in state.items() for part in (name, tensor)))


def data_fingerprint(data: Dataset) -> str:
    """A hash of images, labels and the number of classes."""
    return fingerprint(data.num_classes, data.images, data.labels)
