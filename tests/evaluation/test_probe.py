"""Probes: answers and derivatives that are the same again, of a network that is left alone; those under a key kept."""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from networks import Detached, Shifted, TinyNet

from counteract._network import ask
from counteract.evaluation.probe import Probe, ProbeStore, take_probe
from counteract.models.survey import probe_images


def test_the_same_network_has_the_same_probe_and_another_has_not() -> None:
    images = probe_images((3, 32, 32))
    before = images.clone()
    networks = (Shifted(in_place=True), Shifted(in_place=False), TinyNet())
    probes = [take_probe(functools.partial(ask, network.eval()), images) for network in networks]
    assert torch.equal(images, before)
    assert probes[0].agrees(probes[1])
    assert not probes[0].agrees(probes[2])
    assert (probes[0].answers.shape, probes[0].slopes.shape) == ((8, 10), (8,))


def test_without_a_gradient_there_are_no_derivatives() -> None:
    assert not len(take_probe(Detached().eval(), probe_images((3, 32, 32))).slopes)


def test_random_answers_are_those_of_one_seed() -> None:
    net, images = TinyNet().eval(), probe_images((3, 32, 32))
    first, second = (take_probe(lambda x: net(x * torch.rand(())), images) for _ in range(2))
    assert torch.equal(first.answers, second.answers)


def test_half_precision_may_differ_by_more() -> None:
    net, images = TinyNet().eval(), probe_images((3, 32, 32))
    exact, rough = (take_probe(net, images, precise=precise) for precise in (True, False))
    near = take_probe(lambda x: net(x) * 1.01, images)
    assert not near.agrees(exact)
    assert near.agrees(rough)


def test_a_store_tells_answers_apart_and_keeps_those_that_agree(tmp_path: Path) -> None:
    told: list[str] = []
    first = Probe(torch.tensor([[1.0, 2.0]]), torch.tensor([3.0]))
    rounded = Probe(torch.tensor([[1.0, 2.00001]]), torch.tensor([3.0]))
    others = [
        Probe(-first.answers, first.slopes),
        Probe(first.answers, -first.slopes),
        Probe(first.answers, torch.empty(0)),
        Probe(torch.tensor([[1.0, torch.nan]]), first.slopes),
    ]
    store = ProbeStore(tmp_path, told.append)
    found = store.settle("key", first, "model m")
    assert store.settle("key", rounded, "model m") == found
    assert told == []
    identities = [store.settle("key", other, "model m") for other in others]
    assert len({found, *identities}) == 5
    assert len(told) == 4
    assert told[0].startswith("model m has the weights and the code of one seen before, and answers differently")
    again = ProbeStore(tmp_path, told.append)
    assert [again.settle("key", probe, "m") for probe in (rounded, *others)] == [found, *identities]
    assert again.settle("other", first, "m") != found
    (path,) = [path for path in tmp_path.iterdir() if path.name.startswith("key")]
    path.write_bytes(path.read_bytes().replace(b"2.0", b"2.5", 1))
    ProbeStore(tmp_path, told.append).settle("key", first, "m")
    assert "are damaged: what was found with them is measured again" in told[-1]
