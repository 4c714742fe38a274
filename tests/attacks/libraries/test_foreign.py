"""Somebody else's code contained: what it prints, warns of, changes and draws stays inside."""

from __future__ import annotations

import logging
import random
import sys
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from networks import Outright, TinyNet
from torch import Tensor, nn

from counteract import DefendedModule, GaussianNoise
from counteract.attacks import AttackError, AttackPreset, AttackWarning, ThreatModel, Victim, draw_targets
from counteract.attacks.libraries.foreign import Crafting, Foreign, Oracle, Recipe, Situation, heard
from counteract.attacks.libraries.names import read_name
from counteract.whole import WholeModule

PRESET = AttackPreset.model_validate("quick")
KEYS = torch.arange(6)


def foreign(craft: Any, name: str = "odd", *, logger: str = "") -> Foreign:
    """An attack that is a function of a situation, images and labels."""

    def make(situation: Situation, arguments: Mapping[str, Any]) -> Crafting:
        return lambda images, labels: craft(situation, images, labels)

    return Foreign(read_name(name), Recipe("", make, True, True, (), 2, None, logger))


def of(net: nn.Module, defended: DefendedModule | WholeModule | None = None) -> Victim:
    return Victim(net, defended or DefendedModule(net), True, True, ThreatModel(eps=0.05), 0.01, 10)


def ran(craft: Any, victim: Victim, x: Tensor, name: str = "odd", keys: Tensor = KEYS, **more: Any) -> Tensor:
    return foreign(craft, name, **more).run(victim, x, torch.arange(6), keys, PRESET, None)


def test_it_says_nothing_and_leaves_no_trace(net: TinyNet, x: Tensor, capsys: pytest.CaptureFixture[str]) -> None:
    def craft(situation: Situation, images: Tensor, labels: Tensor) -> Tensor:
        print("loud")  # noqa: T201
        print("louder", file=sys.stderr)  # noqa: T201
        logging.getLogger("somebody").warning("logged")
        warnings.warn("odd", stacklevel=1)
        situation.network.train()
        assert not situation.network.training
        assert not net.training
        assert torch.is_grad_enabled()
        images += 0.01
        labels += 1
        return images

    net.train()
    labels, before = torch.arange(6), x.clone()
    with torch.no_grad():
        found = foreign(craft).run(of(net), x, labels, KEYS, PRESET, None)
    assert capsys.readouterr() == ("", "")
    assert net.training
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert torch.equal(x, before)
    assert labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert torch.equal(found, (x + 0.01).clamp(0, 1))


def test_every_generator_follows_the_first_key(net: TinyNet, x: Tensor) -> None:
    def craft(situation: Situation, images: Tensor, labels: Tensor) -> Tensor:
        drawn = (float(torch.rand(())), float(np.random.rand()), random.random())
        return images * 0 + torch.tensor(drawn).view(3, 1, 1)

    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index]
    one, other = (ran(craft, of(net), x, keys=keys) for keys in (KEYS, KEYS + 1))
    assert torch.equal(one, ran(craft, of(net), x))
    assert (one[0, :, 0, 0] != other[0, :, 0, 0]).all()
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1].tolist(), random.getstate()) == states[1:]  # type: ignore[index]


def test_results_are_clipped(net: TinyNet, x: Tensor) -> None:
    found = ran(lambda situation, images, labels: images.double() * 3 - 1, of(net), x)
    assert found.dtype == x.dtype
    assert (float(found.min()), float(found.max())) == (0, 1)


def test_arrays_are_images_and_bytes_are_none(net: TinyNet, x: Tensor) -> None:
    assert torch.equal(ran(lambda situation, images, labels: images.numpy()[:, ::-1] / 2, of(net), x), x.flip(1) / 2)
    with pytest.raises(AttackError, match=r"it returned pixels of torch.uint8, where images have floats in \[0, 1\]"):
        ran(lambda situation, images, labels: (255 * images).byte(), of(net), x)


def test_padding_is_not_attacked(net: TinyNet, x: Tensor) -> None:
    padded = torch.tensor([0, 1, 2, 3, 3, 3, 3, 3])

    def craft(situation: Situation, images: Tensor, labels: Tensor) -> Tensor:
        assert labels.tolist() == [0, 1, 2, 3]
        return images * torch.rand_like(images)

    found = foreign(craft).run(of(net), x[padded], padded, KEYS[padded], PRESET, None)
    assert found.shape == (8, 3, 32, 32)
    assert all(torch.equal(row, found[3]) for row in found[4:])
    assert torch.equal(found[:4], foreign(craft).run(of(net), x[:4], padded[:4], KEYS[:4], PRESET, None))


def test_targets_are_drawn_from_each_key(net: TinyNet, x: Tensor) -> None:
    told: list[Tensor] = []

    def craft(situation: Situation, images: Tensor, labels: Tensor) -> Tensor:
        told.append(labels)
        assert situation.targeted == (len(told) == 2)
        return images

    ran(craft, of(net), x)
    ran(craft, of(net), x, "odd-targeted")
    assert told[0].tolist() == [0, 1, 2, 3, 4, 5]
    assert torch.equal(told[1], draw_targets(KEYS, torch.arange(6), 10))


def test_the_network_is_asked_in_its_own_precision_and_answers_in_the_attacks(x: Tensor) -> None:
    for dtype in (torch.float64, torch.bfloat16):
        net = TinyNet().to(dtype).eval()
        for asked in (Oracle(net), Oracle(DefendedModule(net), torch.tensor(3))):
            for images in (x, x.double()):
                answers = asked(images)
                assert answers.dtype == images.dtype
                gradient = torch.autograd.grad(asked(images.clone().requires_grad_()).sum(), list(asked.parameters()))
                assert len(gradient) == len(list(net.parameters()))


def test_an_undefended_network_is_asked_as_it_is_and_a_defended_one_inside_of_the_pixels_range(
    net: TinyNet, x: Tensor
) -> None:
    beyond = 2 * x - 0.5
    assert torch.equal(Oracle(net)(beyond), net(beyond))
    for defended in (DefendedModule(net), WholeModule(net)):
        expected = net(beyond.clamp(0, 1)).log_softmax(1)
        torch.testing.assert_close(Oracle(defended, torch.tensor(3))(beyond), expected)


def test_probabilities_where_they_are_wanted(net: TinyNet, x: Tensor) -> None:
    asked = Oracle(net)
    asked.probabilities = True
    torch.testing.assert_close(asked(x), net(x).softmax(1))


def test_each_question_has_draws_of_its_own_and_so_has_each_row(net: TinyNet, x: Tensor) -> None:
    same = x[:1].expand(4, -1, -1, -1)
    asked, again = (Oracle(DefendedModule(net, transforms=[GaussianNoise(0.2)]), torch.tensor(3)) for _ in range(2))
    first, second = asked(same), asked(same)
    assert len({tuple(row.tolist()) for row in torch.cat([first, second])}) == 8
    assert torch.equal(again(same), first)
    assert torch.equal(again(same), second)


class Seeding(TinyNet):
    """A network that seeds the global generators whenever it is asked, as defences do whose draws are to be fixed."""

    def forward(self, x: Tensor) -> Tensor:
        torch.manual_seed(0)
        np.random.seed(0)
        random.seed(0)
        return super().forward(x)


@pytest.mark.parametrize("name", ["odd", "odd@defended"])
def test_a_network_that_seeds_the_generators_leaves_the_attack_its_own_draws(name: str, x: Tensor) -> None:
    seen: list[tuple[float, ...]] = []

    def craft(situation: Situation, images: Tensor, labels: Tensor) -> Tensor:
        for _ in range(3):
            seen.append((torch.rand(()).item(), np.random.rand(), random.random()))
            situation.network(images)
        return images

    for network in (Seeding(), TinyNet()):
        ran(craft, of(network), x, name)
    assert len(set(seen[:3])) == 3
    assert seen[:3] == seen[3:]


def test_a_network_that_draws_does_so_afresh_for_each_question(x: Tensor) -> None:
    class Drawing(TinyNet):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + torch.rand(())

    asked, again, other = Oracle(Drawing()), Oracle(Drawing()), Oracle(Drawing(), seed=1)
    first, second = asked(x), asked(x)
    assert not torch.equal(first, second)
    assert torch.equal(first, again(x))
    assert not torch.equal(first, other(x))


def test_warnings_of_its_logger_are_passed_on_each_once(net: TinyNet, x: Tensor) -> None:
    def craft(situation: Situation, images: Tensor, labels: Tensor) -> Tensor:
        for name, text in [("them", "beware."), ("them.part", "beware"), ("them", "it\nis odd"), ("others", "quiet")]:
            logging.getLogger(name).warning(text)
        logging.getLogger("them").info("nothing")
        return images

    with heard() as said:
        ran(craft, of(net), x, logger="them")
    assert said == ["attack odd warns: beware", "attack odd warns: it is odd"]
    assert not logging.getLogger("them").handlers


def test_other_warnings_pass() -> None:
    def listen() -> list[str]:
        with heard() as said:
            for text, kind in (("one", AttackWarning), ("one", AttackWarning), ("another", RuntimeWarning)):
                warnings.warn(text, kind, stacklevel=1)
        return said

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        with pytest.warns(RuntimeWarning, match="another"):
            said = listen()
    assert said == ["one"]


def test_a_failure_to_make_it_is_the_users_and_one_while_it_runs_is_its_own(net: TinyNet, x: Tensor) -> None:
    def make(situation: Situation, arguments: Mapping[str, Any]) -> Crafting:
        torch.rand(3)
        raise AssertionError("no\nsuch thing.")

    state = torch.get_rng_state()
    odd = Foreign(read_name("odd"), Recipe("", make, True, True, (), 2, None))
    with pytest.raises(ValueError, match=r"^attack odd cannot be made: AssertionError: no such thing$") as refused:
        odd.check(net, ThreatModel(), 10, x)
    assert not isinstance(refused.value, AttackError)
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(AttackError, match=r"^attack odd failed: AssertionError: no such thing$"):
        odd.run(of(net), x, torch.arange(6), KEYS, PRESET, None)


def test_gradients_come_in_the_layout_of_the_images(net: TinyNet, x: Tensor) -> None:
    """A network in another one may have others, which torchattacks' L2 attacks cannot read."""
    points = x.clone().requires_grad_()
    network = net.to(memory_format=torch.channels_last)
    (bare,) = torch.autograd.grad(network(points).sum(), points)
    (found,) = torch.autograd.grad(Oracle(network)(points).sum(), points)
    assert not bare.is_contiguous()
    assert found.is_contiguous()
    assert torch.equal(found, bare)


def test_black_and_white_pixels_of_a_defended_network_have_a_gradient(net: TinyNet, x: Tensor) -> None:
    asked, ends = Oracle(DefendedModule(net), torch.tensor(3)), x.round().requires_grad_()
    (found,) = torch.autograd.grad(asked(ends).square().sum(), ends)
    assert (found != 0).all()


def test_a_question_that_is_answered_outright_has_a_gradient_of_zero(x: Tensor) -> None:
    def craft(situation: Situation, images: Tensor, labels: Tensor) -> Tensor:
        points = images.clone().requires_grad_()
        (found,) = torch.autograd.grad(situation.network(points).sum(), points)
        return images + found

    net = Outright().eval()
    for name in ("odd", "odd@defended"):
        assert torch.equal(ran(craft, of(net), x, name), x)
