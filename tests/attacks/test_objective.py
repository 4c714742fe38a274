"""The averaged loss and its gradient, against autograd on the same average written out."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract import Counteraction, DefendedModule, GaussianNoise, _random
from counteract.attacks import objective as objective_module
from counteract.attacks.losses import TargetedDLR, cross_entropy, margin
from counteract.attacks.norms import NORMS, Name
from counteract.attacks.objective import Objective

LABELS = torch.arange(6)


class Power(nn.Module):
    """Brighter images."""

    def forward(self, x: Tensor) -> Tensor:
        return x.pow(0.9)


@pytest.fixture
def noisy(net: nn.Module) -> DefendedModule:
    counteraction = Counteraction(net, num_labels=3)
    return DefendedModule(
        net, preprocessing_defences=[counteraction], transforms=[GaussianNoise(0.1)], executions=2, clip_values=None
    )


@pytest.mark.parametrize("average", ["outputs", "losses"])
@pytest.mark.parametrize("kept", [0, 4, 512])
def test_the_gradient_is_that_of_the_average(
    noisy: DefendedModule, x: Tensor, monkeypatch: pytest.MonkeyPatch, average: Literal["outputs", "losses"], kept: int
) -> None:
    monkeypatch.setattr(objective_module, "images_kept", lambda images, draws: kept)
    keys = torch.arange(6) + 40
    found, gradient = Objective([noisy], cross_entropy, LABELS, keys, 3, average).gradient(x, 7)
    points = x.clone().requires_grad_()
    draws = [noisy(points, _random.fold(_random.fold(keys, 7), draw)) for draw in range(3)]
    probabilities = torch.stack(draws).exp()[:, range(6), LABELS]
    expected = -(probabilities.mean(0).log() if average == "outputs" else probabilities.log().mean(0))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected.sum(), points)[0])
    torch.testing.assert_close(Objective([noisy], cross_entropy, LABELS, keys, 3, average).value(x, 7), found)


def test_the_leads_are_those_of_the_last_networks_mean_output(noisy: DefendedModule, net: nn.Module, x: Tensor) -> None:
    keys = torch.arange(6)
    given = Objective([lambda images, keys: net(images), noisy], cross_entropy, LABELS, keys, 3)
    alone = Objective([noisy], margin, LABELS, keys, 3)
    torch.testing.assert_close(given.slope(x, 2).leads, alone.value(x, 2))


def test_an_example_does_not_depend_on_its_batch(noisy: DefendedModule, x: Tensor) -> None:
    keys = torch.arange(6)
    value, gradient = Objective([noisy], margin, LABELS, keys, 2).gradient(x, 1)
    part = Objective([noisy], margin, LABELS[2:4], keys[2:4], 2).gradient(x[2:4], 1)
    torch.testing.assert_close(part, (value[2:4], gradient[2:4]))


def test_images_are_taken_in_groups_and_each_draw_is_computed_once(net: nn.Module, x: Tensor) -> None:
    asked: list[int] = []
    net.register_forward_hook(lambda module, inputs, output: asked.append(len(inputs[0])))
    module = DefendedModule(net, transforms=[GaussianNoise(0.1)], executions=5, clip_values=None)
    images, labels = x.repeat(12, 1, 1, 1), LABELS.repeat(12)
    given = Objective([module], margin, labels, torch.arange(72), 4)
    values, gradient = given.gradient(images, 0)
    assert sum(asked) == 72 * 4 * 5
    assert asked == [120] * 12  # 24 images in 5 executions, draw by draw
    part = replace(given, labels=labels[24:48], keys=given.keys[24:48]).gradient(images[24:48], 0)
    assert torch.equal(part[0], values[24:48])
    assert torch.equal(part[1], gradient[24:48])


def test_a_group_has_the_aims_and_the_known_draws_of_its_images(
    noisy: DefendedModule, x: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = torch.stack([torch.arange(6), torch.arange(6) + 9], 1)
    given = Objective([noisy], TargetedDLR((LABELS + 3) % 10), LABELS, torch.arange(6), 2, "losses", known)
    expected = given.gradient(x, 0)
    monkeypatch.setattr(objective_module, "images_kept", lambda images, draws: 4)
    torch.testing.assert_close(given.gradient(x, 0), expected)


def test_steps_draw_anew_and_known_draws_stay(noisy: DefendedModule, x: Tensor) -> None:
    anew = Objective([noisy], margin, LABELS, torch.arange(6))
    assert not torch.equal(anew.value(x, 0), anew.value(x, 1))
    keys = torch.stack([torch.arange(6), torch.arange(6) + 9], 1)
    known = Objective([noisy], margin, LABELS, torch.arange(6), average="losses", known=keys)
    assert torch.equal(known.value(x, 0), known.value(x, 1))
    expected = torch.stack([margin(noisy(x, keys[:, draw]), LABELS) for draw in range(2)]).mean(0)
    torch.testing.assert_close(known.value(x, 0), expected)


def test_several_networks_count_the_same(net: nn.Module, noisy: DefendedModule, x: Tensor) -> None:
    def undefended(images: Tensor, keys: Tensor) -> Tensor:
        scores: Tensor = net(images)
        return scores

    keys = torch.arange(6)
    alone = [Objective([part], margin, LABELS, keys, 2).gradient(x, 0) for part in (undefended, noisy)]
    value, gradient = Objective([undefended, noisy], margin, LABELS, keys, 2).gradient(x, 0)
    torch.testing.assert_close(value, (alone[0][0] + alone[1][0]) / 2)
    torch.testing.assert_close(gradient, (alone[0][1] + alone[1][1]) / 2)


@pytest.mark.parametrize("kept", [0, 4, 512])
@pytest.mark.parametrize("average", ["outputs", "losses"])
def test_a_draw_that_is_no_number_is_wrong_and_leaves_the_gradient_to_the_others(
    net: nn.Module, x: Tensor, monkeypatch: pytest.MonkeyPatch, average: Literal["outputs", "losses"], kept: int
) -> None:
    monkeypatch.setattr(objective_module, "images_kept", lambda images, draws: kept)

    def dropping(images: Tensor, keys: Tensor) -> Tensor:
        """No number where the key is odd: through the image itself, so that its derivative is none either."""
        out: Tensor = net(images + (0 * images).where((keys % 2 == 0).view(-1, 1, 1, 1), torch.nan))
        return out

    known = torch.tensor([[2, 4], [2, 3], [3, 5], [1, 2], [2, 2], [5, 5]])
    objective = Objective([dropping], margin, LABELS, torch.arange(6), 2, average, known)
    values, gradient = objective.gradient(x, 0)
    torch.testing.assert_close(objective.value(x, 0), values)
    assert values.isfinite().all()
    assert gradient.isfinite().all()
    alone = Objective([lambda images, keys: net(images)], margin, LABELS, torch.arange(6))
    expected = alone.gradient(x, 0)
    assert torch.allclose(values[[0, 4]], expected[0][[0, 4]])
    assert torch.allclose(gradient[[0, 4]], expected[1][[0, 4]], atol=1e-6)
    assert (values[[2, 5]] == 100).all()
    assert (gradient[[2, 5]] == 0).all()
    assert (values[[1, 3]] > expected[0][[1, 3]]).all()
    assert (gradient[[1, 3]] != 0).flatten(1).any(1).all()


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_an_infinite_slope_of_one_pixel_leaves_those_of_the_others(net: TinyNet, x: Tensor, norm: Name) -> None:
    """A power below one has an infinite slope at black pixels."""
    images = x.clone()
    images[:, :, :2] = 0
    powered = DefendedModule(nn.Sequential(Power(), net), clip_values=None)
    objective = Objective([powered], cross_entropy, LABELS, torch.arange(6))
    gradient = objective.gradient(images, 0)[1]
    assert not gradient.isfinite().all()
    moved = NORMS[norm].move(images, gradient, images, 0.01, 1.0)
    assert ((moved - images)[:, :, 2:] != 0).float().mean() > 0.9
    assert moved.isfinite().all()


@pytest.mark.parametrize("kept", [0, 512])
def test_draws_that_are_answered_outright_have_no_slope(
    net: nn.Module, x: Tensor, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(objective_module, "images_kept", lambda images, draws: kept)

    def seldom(images: Tensor, keys: Tensor) -> Tensor:
        """Looks at images where the first key is even."""
        out: Tensor = net(images) if keys[0] % 2 == 0 else torch.zeros(len(images), 10)
        return out

    known = torch.tensor([[2, 3]]).expand(6, -1)
    found = Objective([seldom], cross_entropy, LABELS, torch.arange(6), 2, "losses", known).gradient(x, 0)[1]
    alone = Objective([lambda images, keys: net(images)], cross_entropy, LABELS, torch.arange(6)).gradient(x, 0)[1]
    torch.testing.assert_close(found, alone / 2)
