"""Hashes: the same for the same, another for whatever a result depends on."""

from __future__ import annotations

import copy

import torch
from networks import TinyNet

from counteract.datasets import Dataset
from counteract.evaluation.fingerprint import data_fingerprint, fingerprint, network_fingerprint


def test_parts_do_not_run_together() -> None:
    parts: list[tuple[str | int | float | torch.Tensor, ...]] = [
        ("ab", "c"), ("a", "bc"), ("abc",), (1,), ("1",), (1.0,), (True,),
        (torch.zeros(2, 3),), (torch.zeros(3, 2),), (torch.zeros(6),), (torch.zeros(6, dtype=torch.int32),),
    ]  # fmt: skip
    found = [fingerprint(*part) for part in parts]
    assert len(set(found)) == len(parts)
    assert found == [fingerprint(*part) for part in parts]


def test_a_network_by_its_structure_and_every_number_in_it(net: TinyNet) -> None:
    same, other = copy.deepcopy(net), copy.deepcopy(net)
    assert network_fingerprint(same) == network_fingerprint(net)
    with torch.no_grad():
        next(iter(other.parameters())).view(-1)[0] += 1e-6
    assert network_fingerprint(other) != network_fingerprint(net)
    buffered = copy.deepcopy(net)
    next(iter(buffered.buffers())).view(-1)[0] += 1
    assert network_fingerprint(buffered) != network_fingerprint(net)


def test_data_by_images_labels_and_classes(digits: Dataset) -> None:
    few = digits.take(4)
    others = [
        digits.take(5),
        Dataset(few.name, few.images.flip(0), few.labels, few.class_names),
        Dataset(few.name, few.images, few.labels.flip(0), few.class_names),
        Dataset(few.name, few.images, few.labels, (*few.class_names, "ten")),
    ]
    assert data_fingerprint(few) not in {data_fingerprint(other) for other in others}
    assert data_fingerprint(Dataset("renamed", few.images, few.labels, few.class_names)) == data_fingerprint(few)
