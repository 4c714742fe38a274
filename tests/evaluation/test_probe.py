"""Probes: answers and derivatives that are the same again, of a network that is left alone."""

from __future__ import annotations

import functools

import torch
from networks import Detached, Shifted, TinyNet

from counteract._network import ask
from counteract.evaluation.probe import probe_images, take_probe


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
